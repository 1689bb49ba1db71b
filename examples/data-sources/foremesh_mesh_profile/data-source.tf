data "foremesh_mesh_profile" "paris" {
  region = data.foremesh_predictive_region.paris.region
  demand = data.foremesh_predictive_region.paris.demand

  slo      = { latency_ms = 250, percentile = 99, availability = 0.999 }
  failover = ["eu-west-1"]
}

output "holds" {
  value = data.foremesh_mesh_profile.paris.holds
}
