# A shop runs in three regions and opens a fourth, Paris. Its telemetry is generated: see README.md.

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
  description = "Nothing that was measured after this instant is looked at. Move it forward to plan with fresher telemetry."
  type        = string
  default     = "2026-11-20T00:00:00Z"
}

variable "tolerance" {
  description = "How far a proposed value may lie from the adopted one before it is taken over, as a ratio."
  type        = number
  default     = 0.1
}

provider "foremesh" {
  history   = "${var.telemetry}/history.csv"
  graph     = ["${var.telemetry}/manifests", "${var.telemetry}/traces"]
  catalogue = "${var.telemetry}/catalogue.yaml"
}

# What Paris will be asked for: it has no history of its own, so it learns from two regions of its time zone's neighbourhood.
data "foremesh_predictive_region" "paris" {
  region        = "eu-west-3"
  timezone      = "Europe/Paris"
  as_of         = var.as_of
  go_live       = "2026-12-01T06:00:00Z"
  horizon_hours = 72

  donors          = { "eu-west-1" = 0.6, "eu-central-1" = 0.9 }
  donor_timezones = { "eu-west-1" = "Europe/Dublin", "eu-central-1" = "Europe/Berlin" }

  # The sale of October says what the sale of December will do: no uplift is given for either.
  events = [
    {
      name   = "sale"
      starts = "2026-10-23T06:00:00Z"
      ends   = "2026-10-26T22:00:00Z"
    },
    {
      name   = "sale"
      starts = "2026-12-02T06:00:00Z"
      ends   = "2026-12-03T22:00:00Z"
    },
  ]
}

# Which settings answer that demand.
data "foremesh_mesh_profile" "paris" {
  region = data.foremesh_predictive_region.paris.region
  demand = data.foremesh_predictive_region.paris.demand

  slo      = { latency_ms = 800, percentile = 99, availability = 0.995 }
  failover = ["eu-central-1"]
}

# The settings that hold: a quiet day keeps them whole, so that `terraform plan` says "No changes".
resource "foremesh_adopted_profile" "paris" {
  proposed  = data.foremesh_mesh_profile.paris.profile
  tolerance = var.tolerance
}

# The same settings as files: for Istio and its autoscalers (GitOps), for Envoy on hosts, for Ansible.
resource "foremesh_bundle" "paris" {
  for_each = toset(["istio", "autoscaling", "envoy", "ansible"])

  profile = foremesh_adopted_profile.paris.adopted
  target  = each.key
  path    = "stacks/eu-west-3/${each.key}"
}

output "instances" {
  description = "Instances of each service by hour after go-live (hour:instances), standby not included."
  value       = { for name, service in foremesh_adopted_profile.paris.adopted.services : name => service.instances }
}

output "rate_limits" {
  description = "Requests a second that one instance of each service admits."
  value       = { for name, service in foremesh_adopted_profile.paris.adopted.services : name => service.rate_limit.requests_per_second }
}

output "files" {
  description = "The files that were written, by target."
  value       = { for target, bundle in foremesh_bundle.paris : target => sort(keys(bundle.files)) }
}
