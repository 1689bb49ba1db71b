# Generated from the declarations of Foremesh's nouns by `make docs`: do not edit.

variable "as_of" {
  description = "The instant (RFC 3339) after which nothing may be known: no later row moves a byte of the plan."
  type        = string
}

variable "donor_holidays" {
  description = "Public holidays of donors where they differ from this region's, by region; an empty list: a donor without any."
  type        = map(list(string))
  default     = null
}

variable "donor_timezones" {
  description = "Time zones of donors where they differ from this region's, by region."
  type        = map(string)
  default     = null
}

variable "donors" {
  description = "Regions to learn from while this one has no history of its own, each with this region's traffic as a share of theirs (0.25: a quarter)."
  type        = map(number)
  default     = null
}

variable "events" {
  description = "What will move demand, and what moved it in the past."
  type = list(object({
    ends        = string
    known_since = optional(string)
    name        = string
    regions     = optional(list(string))
    services    = optional(list(string))
    starts      = string
    uplift      = optional(number)
  }))
  default = null
}

variable "go_live" {
  description = "When the region takes its first request (RFC 3339); the plan starts at that hour. Not before `as_of`, at most 14 days after it."
  type        = string
}

variable "holidays" {
  description = "Public holidays of the region: iCalendar files (.ics) or addresses of such. Each whole day in them is a day off."
  type        = list(string)
  default     = null
}

variable "horizon_hours" {
  description = "Hours from go-live that are planned, 1 … 336. Default 72."
  type        = number
  default     = null
}

variable "region" {
  description = "The region to plan."
  type        = string
}

variable "seed" {
  description = "Seed of everything that is drawn. Default 1."
  type        = number
  default     = null
}

variable "share_uncertainty" {
  description = "How far off the donors' shares may be, as the standard deviation of their logarithm: 0.1 says that two times in three they are within 10%. Default: what regions show among each other, and 0.3 where nothing shows it."
  type        = number
  default     = null
}

variable "timezone" {
  description = "Its IANA time zone, for example `Europe/Paris`."
  type        = string
}

variable "cost" {
  description = "What things cost."
  type = object({
    cross_region_per_gb  = optional(number)
    instance_per_hour    = optional(number)
    violation_per_minute = optional(number)
  })
  default = null
}

variable "failover" {
  description = "Regions that take over when this one fails, in order."
  type        = list(string)
  default     = null
}

variable "gateway_proxies" {
  description = "Proxies of the ingress gateway through which requests enter, fewest of the day. Default 2."
  type        = number
  default     = null
}

variable "localities" {
  description = "Zones of the region, as `region/zone`, with their share of its instances in percent; empty: zones are not known."
  type        = map(number)
  default     = null
}

variable "policy" {
  description = "Who computes the settings. Default `auto`."
  type        = string
  default     = null
}

variable "prove_faults" {
  description = "Faults under which the plan is simulated, those first that would hurt this region most. Default 4 with `search` and `gnn`, else 0. None is where a window would be of more than ten million visits of services."
  type        = number
  default     = null
}

variable "proxy_mode" {
  description = "Where traffic is handled. Default `sidecar`."
  type        = string
  default     = null
}

variable "ramp_percent" {
  description = "Percent of the traffic let in at each stage after go-live. Default 10, 50, 100."
  type        = list(number)
  default     = null
}

variable "ramp_stage_minutes" {
  description = "Minutes between the stages. Default 30."
  type        = number
  default     = null
}

variable "scaling" {
  description = "What sets the number of instances: a schedule alone (`scheduled`), or a schedule and an autoscaler beyond it, planned together (`target_tracking`). Default `scheduled`."
  type        = string
  default     = null
}

variable "search_windows" {
  description = "Windows of time that `search` and `gnn` may simulate, each of at most 100000 requests or, beyond 50000 requests a second, of two seconds. Default 12; 0: they rely on formulas alone, as they do where a window would be of more than ten million visits of services."
  type        = number
  default     = null
}

variable "slo" {
  description = "The objective of every entry service that `slos` does not name. Default: 99% within 500 ms, 99.9% available."
  type = object({
    availability = optional(number)
    latency_ms   = number
    percentile   = optional(number)
  })
  default = null
}

variable "slos" {
  description = "Objectives of single entry services, by name."
  type = map(object({
    availability = optional(number)
    latency_ms   = number
    percentile   = optional(number)
  }))
  default = null
}

variable "addresses" {
  description = "Where the proxies of a service are reached by Envoy; the port is also the one on which its own proxy listens. Default: its short name as DNS name, port `inbound_port` (or its own port where it has no proxy)."
  type = map(object({
    host = string
    port = number
  }))
  default = null
}

variable "admin_port" {
  description = "The port, on the loopback address, of Envoy's administration. Default 9901."
  type        = number
  default     = null
}

variable "app_label" {
  description = "The label that names a workload after its service. Default `app`."
  type        = string
  default     = null
}

variable "applications" {
  description = "Where a service itself listens beside its Envoy. Default: `127.0.0.1` and the port in its settings."
  type = map(object({
    host = string
    port = number
  }))
  default = null
}

variable "autoscaler" {
  description = "Who makes the number of instances true. Default KEDA."
  type        = string
  default     = null
}

variable "certificates" {
  description = "The certificates of services whose Envoys accept TLS, by service. Default none: an inbound listener speaks plain text."
  type = map(object({
    authority_file   = optional(string)
    certificate_file = string
    private_key_file = string
  }))
  default = null
}

variable "cluster_domain" {
  description = "The cluster's DNS domain. Default `cluster.local`."
  type        = string
  default     = null
}

variable "cpu_target_percent" {
  description = "Percent of the requested CPU at which Kubernetes' own autoscaler aims. Default 60."
  type        = number
  default     = null
}

variable "entry_hosts" {
  description = "Host names under which entries are reached through the gateways."
  type        = map(list(string))
  default     = null
}

variable "failover_addresses" {
  description = "Where an entry is reached in the regions that take over when this one fails."
  type = map(map(object({
    host = string
    port = number
  })))
  default = null
}

variable "gateways" {
  description = "Istio gateways, as `namespace/name`, through which the entries' requests come. Default none: the routes hold inside the mesh only."
  type        = list(string)
  default     = null
}

variable "hash_header" {
  description = "The request header by whose hash an instance is chosen, where a service balances by hash. Default none: such a service is balanced by the fewest requests (LEAST_REQUEST) instead, and warms up as such, because the source address would tie each calling pod to one instance. Opaque TCP has no header and is balanced so in any case."
  type        = string
  default     = null
}

variable "hold_hours" {
  description = "Hours after the horizon for which KEDA holds the most instances of the schedule, in case no newer plan has come; afterwards it falls to the fewest. Default: until 330 days after the plan's start. Cron knows no year: an object that is applied longer before the start than the rest of the year (35 days by default) holds the most until then."
  type        = number
  default     = null
}

variable "inbound_port" {
  description = "The port on which an Envoy accepts requests for its service. Default 15006."
  type        = number
  default     = null
}

variable "locality_addresses" {
  description = "Where an entry's proxies are reached in each locality (`region/zone`) of its weights."
  type = map(map(object({
    host = string
    port = number
  })))
  default = null
}

variable "max_downstream_connections" {
  description = "Connections that one Envoy of an entry accepts, all listeners together, before it refuses more. Default 50000."
  type        = number
  default     = null
}

variable "module_source" {
  description = "The source of the Terraform module that generated HCL calls. Default none: variables and outputs alone."
  type        = string
  default     = null
}

variable "namespace" {
  description = "The namespace of services whose name has none. Default `default`."
  type        = string
  default     = null
}

variable "namespace_sidecars" {
  description = "The Sidecar that a namespace has today, as YAML (`file(\"sidecar.yaml\")`), by namespace; `\"\"` where neither the namespace nor the mesh (Istio's root namespace) has one. Services there get a Sidecar each, with the limits of one instance and all that stands in the given one, which it takes the place of. Default none: no Sidecar is written, since Istio merges none and the namespace's egress hosts would be lost; an instance then lets in what its DestinationRule gives a caller."
  type        = map(string)
  default     = null
}

variable "outbound_port" {
  description = "The first of the ports, on the loopback address, on which an Envoy accepts its service's calls, one for each callee in order of name. Default 15101."
  type        = number
  default     = null
}

variable "prometheus_address" {
  description = "A Prometheus server, by whose request rates KEDA scales beyond the schedule."
  type        = string
  default     = null
}

variable "stage" {
  description = "The stage of the go-live ramp, counted from 1; none: the last."
  type        = number
  default     = null
}

variable "trusted_hops" {
  description = "Proxies (a load balancer, a CDN) between the clients and an entry's Envoy whose `x-forwarded-for` and `x-forwarded-proto` are believed. Default 0: the Envoy itself is the edge, and what clients say there is replaced."
  type        = number
  default     = null
}

variable "path" {
  description = "Folder that the files are written to, one folder a target below it."
  type        = string
}

variable "tolerance" {
  description = "How far, as a ratio, a proposed number may lie from the adopted one before it is taken over."
  type        = number
  default     = 0.1
}
