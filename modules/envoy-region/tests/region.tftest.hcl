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
  addresses       = { "shop/cart" = { host = "10.0.0.7", port = 15007 } }
  path            = "tests/stacks/envoy"
}

run "writes_everything_a_host_needs" {
  assert {
    condition     = output.holds
    error_message = "the objective is not kept"
  }

  # Every field that the module promises stands in some file.
  assert {
    condition = alltrue([
      for field in [
        "static_resources:", "admin:", "listeners:", "clusters:", "circuit_breakers:", "max_connections:", "max_pending_requests:",
        "max_requests:", "max_retries:", "outlier_detection:", "max_ejection_percent:", "local_ratelimit", "token_bucket:",
        "tokens_per_fill:", "max_tokens:", "fill_interval:", "timeout:", "slow_start_config:", "load_balancing_policy:", "10.0.0.7",
      ] : strcontains(join("\n", [for name, hash in output.files : file("tests/stacks/envoy/${name}")]), field)
    ])
    error_message = "a field is missing from the Envoy files"
  }

  assert {
    condition     = alltrue([for name, hash in output.files : sha256(file("tests/stacks/envoy/${name}")) == hash])
    error_message = "what lies on disk is not what the state says"
  }
}

run "stays_quiet_on_the_same_inputs" {
  command = plan

  assert {
    condition     = output.adopted == run.writes_everything_a_host_needs.adopted
    error_message = "the same inputs gave another profile"
  }
}
