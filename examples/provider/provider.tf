terraform {
  required_providers {
    foremesh = {
      source = "foremesh/foremesh"
    }
  }
}

provider "foremesh" {
  history   = "telemetry/history.csv"
  graph     = ["manifests", "telemetry/traces"]
  catalogue = "catalogue.yaml"
}
