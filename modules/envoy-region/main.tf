# The settings that hold: a quiet day keeps them whole.
resource "foremesh_adopted_profile" "this" {
  proposed  = data.foremesh_mesh_profile.this.profile
  tolerance = var.tolerance
}

# A complete bootstrap for the Envoy of each service.
resource "foremesh_bundle" "envoy" {
  profile   = foremesh_adopted_profile.this.adopted
  target    = "envoy"
  stage     = var.stage
  namespace = var.namespace
  path      = "${var.path}/envoy"
}

# Variables for a playbook that installs those on hosts.
resource "foremesh_bundle" "ansible" {
  profile   = foremesh_adopted_profile.this.adopted
  target    = "ansible"
  stage     = var.stage
  namespace = var.namespace
  path      = "${var.path}/ansible"
}
