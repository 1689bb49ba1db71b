resource "foremesh_bundle" "paris_istio" {
  profile = foremesh_adopted_profile.paris.adopted
  target  = "istio"
  stage   = 1
  path    = "stacks/eu-west-3/mesh"
}
