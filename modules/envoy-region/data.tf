# Generated from the declarations of Foremesh's nouns by `make docs`: do not edit.

data "foremesh_predictive_region" "this" {
  as_of             = var.as_of
  donor_holidays    = var.donor_holidays
  donor_timezones   = var.donor_timezones
  donors            = var.donors
  events            = var.events
  go_live           = var.go_live
  holidays          = var.holidays
  horizon_hours     = var.horizon_hours
  region            = var.region
  seed              = var.seed
  share_uncertainty = var.share_uncertainty
  timezone          = var.timezone
}

data "foremesh_mesh_profile" "this" {
  region             = data.foremesh_predictive_region.this.region
  demand             = data.foremesh_predictive_region.this.demand
  cost               = var.cost
  failover           = var.failover
  gateway_proxies    = var.gateway_proxies
  localities         = var.localities
  policy             = var.policy
  prove_faults       = var.prove_faults
  proxy_mode         = var.proxy_mode
  ramp_percent       = var.ramp_percent
  ramp_stage_minutes = var.ramp_stage_minutes
  scaling            = var.scaling
  search_windows     = var.search_windows
  slo                = var.slo
  slos               = var.slos
}
