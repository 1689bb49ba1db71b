# The settings that hold: a quiet day keeps them whole.
resource "foremesh_adopted_profile" "this" {
  proposed  = data.foremesh_mesh_profile.this.profile
  tolerance = var.tolerance
}

# DestinationRules, VirtualServices and EnvoyFilters, for GitOps to apply.
resource "foremesh_bundle" "istio" {
  profile   = foremesh_adopted_profile.this.adopted
  target    = "istio"
  stage     = var.stage
  namespace = var.namespace
  path      = "${var.path}/istio"
}

# What follows the schedule by hour: never replicas beside it.
resource "foremesh_bundle" "autoscaling" {
  profile   = foremesh_adopted_profile.this.adopted
  target    = "autoscaling"
  stage     = var.stage
  namespace = var.namespace
  path      = "${var.path}/autoscaling"
}
