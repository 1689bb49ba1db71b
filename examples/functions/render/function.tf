output "files" {
  value = keys(provider::foremesh::render(foremesh_adopted_profile.paris.adopted, "istio"))
}
