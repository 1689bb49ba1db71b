data "foremesh_predictive_region" "paris" {
  region        = "eu-west-3"
  timezone      = "Europe/Paris"
  as_of         = "2026-11-20T00:00:00Z"
  go_live       = "2026-12-01T06:00:00Z"
  horizon_hours = 72

  # Paris is new: its traffic is expected to be a quarter of Ireland's.
  donors          = { "eu-west-1" = 0.25 }
  donor_timezones = { "eu-west-1" = "Europe/Dublin" }

  events = [
    {
      name   = "advent sale"
      starts = "2026-12-02T08:00:00Z"
      ends   = "2026-12-02T20:00:00Z"
      uplift = 1.8
    },
  ]
}
