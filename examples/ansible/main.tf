# A region whose services run on hosts, each beside an Envoy: Terraform plans and writes the configurations, Ansible installs them.

terraform {
  required_version = ">= 1.11"
  required_providers {
    foremesh = {
      source = "foremesh/foremesh"
    }
  }
}

variable "telemetry" {
  description = "The folder with history.csv, manifests, traces and catalogue.yaml."
  type        = string
  default     = "telemetry"
}

variable "as_of" {
  description = "Nothing that was measured after this instant is looked at."
  type        = string
  default     = "2026-11-20T00:00:00Z"
}

provider "foremesh" {
  history   = "${var.telemetry}/history.csv"
  graph     = ["${var.telemetry}/manifests", "${var.telemetry}/traces"]
  catalogue = "${var.telemetry}/catalogue.yaml"
}

data "foremesh_predictive_region" "paris" {
  region          = "eu-west-3"
  timezone        = "Europe/Paris"
  as_of           = var.as_of
  go_live         = "2026-12-01T06:00:00Z"
  horizon_hours   = 48
  donors          = { "eu-west-1" = 0.6 }
  donor_timezones = { "eu-west-1" = "Europe/Dublin" }
}

data "foremesh_mesh_profile" "paris" {
  region = data.foremesh_predictive_region.paris.region
  demand = data.foremesh_predictive_region.paris.demand
  slo    = { latency_ms = 800, percentile = 99, availability = 0.995 }
}

resource "foremesh_adopted_profile" "paris" {
  proposed = data.foremesh_mesh_profile.paris.profile
}

resource "foremesh_bundle" "envoy" {
  profile = foremesh_adopted_profile.paris.adopted
  target  = "envoy"
  path    = "stacks/eu-west-3/envoy"
}

# What the playbook reads: each output is a variable of the role foremesh_envoy.

output "foremesh_envoy_source" {
  description = "The folder that holds the configurations."
  value       = abspath(foremesh_bundle.envoy.path)
}

output "foremesh_envoy_files" {
  description = "SHA-256 of each configuration, by its path in that folder."
  value       = foremesh_bundle.envoy.files
}

output "foremesh_envoy_instances" {
  description = "Instances of each service by hour after go-live (hour:instances): how many hosts each needs."
  value       = { for name, service in foremesh_adopted_profile.paris.adopted.services : name => service.instances }
}
