# The same region, planned from a Prometheus-compatible server instead of a file.

terraform {
  required_version = ">= 1.11"
  required_providers {
    foremesh = {
      source = "foremesh/foremesh"
    }
  }
}

variable "prometheus_url" {
  description = "Address of the server (Prometheus, Thanos, Mimir, VictoriaMetrics)."
  type        = string
  default     = "http://127.0.0.1:9090"
}

variable "prometheus_token" {
  description = "Bearer token, where the server asks for one."
  type        = string
  default     = null
  sensitive   = true
}

variable "as_of" {
  description = "Nothing that was measured after this instant is asked for."
  type        = string
  default     = "2026-11-20T00:00:00Z"
}

variable "graph" {
  description = "Files and folders that show which service calls which."
  type        = list(string)
  default     = ["telemetry/manifests", "telemetry/traces"]
}

variable "catalogue" {
  description = "What one instance of each service can do and costs."
  type        = string
  default     = "telemetry/catalogue.yaml"
}

provider "foremesh" {
  graph     = var.graph
  catalogue = var.catalogue

  prometheus {
    url = var.prometheus_url
    # Requests a second by region and service. Without `query` it is Istio's istio_requests_total.
    query        = "sum by (region, service) (last_over_time(shop_requests_per_second[$step]))"
    days         = 42
    step_s       = 900
    timeout_s    = 30
    bearer_token = var.prometheus_token
  }
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

resource "foremesh_bundle" "paris" {
  profile = foremesh_adopted_profile.paris.adopted
  target  = "istio"
  path    = "stacks/eu-west-3/istio"
}

output "instances" {
  description = "Instances of each service by hour after go-live."
  value       = { for name, service in foremesh_adopted_profile.paris.adopted.services : name => service.instances }
}
