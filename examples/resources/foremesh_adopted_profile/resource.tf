resource "foremesh_adopted_profile" "paris" {
  proposed  = data.foremesh_mesh_profile.paris.profile
  tolerance = 0.1
}

output "cart_instances" {
  value = foremesh_adopted_profile.paris.adopted.services["shop/cart"].instances
}
