terraform {
  # Write-only attributes keep the profile out of the bundles' state.
  required_version = ">= 1.11"

  required_providers {
    foremesh = {
      source  = "foremesh/foremesh"
      version = ">= 0.1.0"
    }
  }
}
