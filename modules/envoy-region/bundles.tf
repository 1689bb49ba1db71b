# Generated from the declarations of Foremesh's nouns by `make docs`: do not edit.

resource "foremesh_bundle" "envoy" {
  profile                    = foremesh_adopted_profile.this.adopted
  target                     = "envoy"
  path                       = "${var.path}/envoy"
  addresses                  = var.addresses
  admin_port                 = var.admin_port
  app_label                  = var.app_label
  applications               = var.applications
  autoscaler                 = var.autoscaler
  certificates               = var.certificates
  cluster_domain             = var.cluster_domain
  cpu_target_percent         = var.cpu_target_percent
  entry_hosts                = var.entry_hosts
  failover_addresses         = var.failover_addresses
  gateways                   = var.gateways
  hash_header                = var.hash_header
  hold_hours                 = var.hold_hours
  inbound_port               = var.inbound_port
  locality_addresses         = var.locality_addresses
  max_downstream_connections = var.max_downstream_connections
  module_source              = var.module_source
  namespace                  = var.namespace
  namespace_sidecars         = var.namespace_sidecars
  outbound_port              = var.outbound_port
  prometheus_address         = var.prometheus_address
  stage                      = var.stage
  trusted_hops               = var.trusted_hops
}

resource "foremesh_bundle" "ansible" {
  profile                    = foremesh_adopted_profile.this.adopted
  target                     = "ansible"
  path                       = "${var.path}/ansible"
  addresses                  = var.addresses
  admin_port                 = var.admin_port
  app_label                  = var.app_label
  applications               = var.applications
  autoscaler                 = var.autoscaler
  certificates               = var.certificates
  cluster_domain             = var.cluster_domain
  cpu_target_percent         = var.cpu_target_percent
  entry_hosts                = var.entry_hosts
  failover_addresses         = var.failover_addresses
  gateways                   = var.gateways
  hash_header                = var.hash_header
  hold_hours                 = var.hold_hours
  inbound_port               = var.inbound_port
  locality_addresses         = var.locality_addresses
  max_downstream_connections = var.max_downstream_connections
  module_source              = var.module_source
  namespace                  = var.namespace
  namespace_sidecars         = var.namespace_sidecars
  outbound_port              = var.outbound_port
  prometheus_address         = var.prometheus_address
  stage                      = var.stage
  trusted_hops               = var.trusted_hops
}
