output "adopted" {
  description = "The settings that hold, as an object."
  value       = foremesh_adopted_profile.this.adopted
}

output "demand" {
  description = "The demand of each entry service in a few numbers."
  value       = data.foremesh_predictive_region.this.summary
}

output "services" {
  description = "The proposed settings of each service in a few numbers."
  value       = data.foremesh_mesh_profile.this.summary
}

output "entries" {
  description = "What each entry service is expected to show in its hardest hour."
  value       = data.foremesh_mesh_profile.this.entries
}

output "holds" {
  description = "Whether every entry keeps its objective."
  value       = data.foremesh_mesh_profile.this.holds
}

output "warnings" {
  description = "What to beware of, the worst first."
  value       = concat(data.foremesh_predictive_region.this.warnings, data.foremesh_mesh_profile.this.warnings)
}

output "files" {
  description = "SHA-256 of every file, by its path below `path`."
  value = merge(
    { for name, hash in foremesh_bundle.istio.files : "istio/${name}" => hash },
    { for name, hash in foremesh_bundle.autoscaling.files : "autoscaling/${name}" => hash },
  )
}

output "helm_values" {
  description = "The settings as Helm values (YAML), under the key `foremesh`."
  value       = yamlencode({ foremesh = foremesh_adopted_profile.this.adopted })
}
