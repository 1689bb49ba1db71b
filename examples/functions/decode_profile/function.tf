locals {
  proposed = provider::foremesh::decode_profile(data.foremesh_mesh_profile.paris.profile)
}

output "proposed_cart_limit" {
  value = local.proposed.services["shop/cart"].rate_limit.requests_per_second
}
