# Plans and applies the module with the real provider on three made-up weeks of one service (tests/telemetry).

provider "foremesh" {
  history   = "tests/telemetry/history.csv"
  graph     = ["tests/telemetry/graph.json"]
  catalogue = "tests/telemetry/catalogue.yaml"
}

variables {
  region          = "eu-west-3"
  timezone        = "Europe/Paris"
  as_of           = "2026-11-20T00:00:00Z"
  go_live         = "2026-12-01T06:00:00Z"
  horizon_hours   = 24
  donors          = { "eu-west-1" = 0.5 }
  donor_timezones = { "eu-west-1" = "Europe/Dublin" }
  slo             = { latency_ms = 250 }
  failover        = ["eu-west-1"]
  path            = "tests/stacks/istio"
}

run "writes_everything_the_mesh_needs" {
  assert {
    condition     = output.holds
    error_message = "the objective is not kept"
  }

  # Every field that the module promises stands in some file.
  assert {
    condition = alltrue([
      for field in [
        "http1MaxPendingRequests:", "http2MaxRequests:", "maxRetries:", "maxConnections:",
        "loadBalancer:", "warmup:", "outlierDetection:", "consecutive5xxErrors:", "baseEjectionTime:",
        "interval:", "maxEjectionPercent:", "minHealthPercent:", "retryBudget:", "timeout:", "retries:", "attempts:",
        "perTryTimeout:", "retryOn:", "local_ratelimit", "tokens_per_fill:", "max_tokens:", "fill_interval:",
      ] : strcontains(join("\n", values(provider::foremesh::render(output.adopted, "istio"))), field)
    ])
    error_message = "a field is missing from the Istio files"
  }

  assert {
    condition = alltrue([
      for field in ["ScaledObject", "minReplicaCount:", "maxReplicaCount:", "desiredReplicas:", "timezone: Europe/Paris"] :
      strcontains(join("\n", values(provider::foremesh::render(output.adopted, "autoscaling"))), field)
    ])
    error_message = "a field is missing from the autoscaling files"
  }

  assert {
    condition = alltrue([
      for name, content in provider::foremesh::render(output.adopted, "istio") :
      output.files["istio/${name}"] == sha256(content) && file("tests/stacks/istio/istio/${name}") == content
    ])
    error_message = "what lies on disk is not what was rendered"
  }

  assert {
    condition     = yamldecode(output.helm_values).foremesh.services["shop/cart"].rate_limit.requests_per_second > 0
    error_message = "the Helm values do not hold the settings"
  }
}

run "stays_quiet_on_the_same_inputs" {
  command = plan

  assert {
    condition     = output.adopted == run.writes_everything_the_mesh_needs.adopted
    error_message = "the same inputs gave another profile"
  }
}

run "an_earlier_stage_lets_in_less" {
  variables {
    stage = 1
  }

  assert {
    condition     = output.files != run.writes_everything_the_mesh_needs.files
    error_message = "stage 1 writes the same files as the last stage"
  }
}

run "a_fall_in_demand_is_taken_over" {
  variables {
    donors = { "eu-west-1" = 0.25 }
  }

  assert {
    condition = (
      output.adopted.entries["shop/frontend"].gateway_limits.max_concurrent_requests <
      run.writes_everything_the_mesh_needs.adopted.entries["shop/frontend"].gateway_limits.max_concurrent_requests * 0.9
    )
    error_message = "half of the demand needs no less"
  }
}

run "a_header_spreads_by_hash" {
  variables {
    path        = "tests/stacks/hash"
    hash_header = "x-session"
  }

  assert {
    condition = alltrue([
      for field in ["consistentHash:", "httpHeaderName: x-session"] :
      strcontains(join("\n", [for name in fileset(var.path, "**") : file("${var.path}/${name}")]), field)
    ])
    error_message = "the header does not reach the load balancer"
  }
}
