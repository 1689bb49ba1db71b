# The settings that hold: a quiet day keeps them whole.
resource "foremesh_adopted_profile" "this" {
  proposed  = data.foremesh_mesh_profile.this.profile
  tolerance = var.tolerance
}
