//! Everybody's settings under what came: meshes, windows of time, rows.

use foremesh_model::{Cost, RegionPlan, Schedule, graph::Visits, random::mix, station::stations};
use foremesh_policy::Requirements;
use foremesh_simulate::{
    Controller, EntryLoad, Mesh, PlanAssumptions, Progress, SimulateError, baselines, from_plan,
};

use super::{
    Contestant, EVENTS_PER_CALL, HPA_TARGET, HindcastRequest, HindcastRow, LAUNCH_S,
    replay::{self, Replay},
};
use crate::{
    PipelineError, Sources,
    audit::one_suffices,
    compute_profile,
    day::flows_of,
    simulate::is_planned,
    windows::{
        Autoscaled, DayReport, Lived, Window, WindowReason, WindowRequest, instances_for,
        run_windows, windows,
    },
};

/// What all contestants have in common.
pub(super) struct Contest<'a> {
    pub plan: &'a RegionPlan,
    pub replay: &'a Replay,
    pub visits: Visits,
    pub loads: Vec<EntryLoad>,
    pub cost: Cost,
    pub seed: u64,
    pub replications: u32,
    pub horizon_s: f64,
}

impl Contest<'_> {
    /// The plan under what came. What an instance costs is the request's where no catalogue says it.
    pub fn planned(&self) -> Result<Mesh, PipelineError> {
        self.mesh_of(self.plan)
    }

    fn mesh_of(&self, plan: &RegionPlan) -> Result<Mesh, PipelineError> {
        let assumptions = PlanAssumptions::default();
        let mut mesh = from_plan(
            &plan.graph,
            &plan.settings,
            &self.loads,
            &[],
            0,
            &assumptions,
        )?;
        let stations = stations(&plan.graph, &self.cost).map_err(SimulateError::Capacity)?;
        for (service, station) in mesh.services.iter_mut().zip(&stations) {
            service.cost_per_hour = station.cost_per_hour;
        }
        Ok(mesh)
    }

    /// What one who knew the demand would have run: the fewest instances of each hour that keep the objective by the policy's reckoning, each
    /// ordered as long ahead as it takes to start and warm up, nothing on standby, no limits.
    pub fn hindsight(
        &self,
        sources: &Sources,
        profile: &foremesh_model::ProfileRequest,
    ) -> Result<Mesh, PipelineError> {
        let certain = self.replay.certain(&self.plan.demand);
        let graph = one_suffices(&sources.graph)?;
        let mut plan = compute_profile(&graph, &certain, profile, &sources.models)?;
        let needs = Requirements::of(&graph, &certain, profile)?;
        for (name, service) in &mut plan.settings.services {
            let hours = needs.service(name).iter().map(|need| need.instances.max(1));
            service.instances = Schedule::from_hours(&hours.collect::<Vec<_>>());
            service.standby_instances = 0;
        }
        let mesh = self.mesh_of(&plan)?;
        // A limit guards against surprises; at the fewest instances it would refuse what merely comes close together.
        Ok(baselines::istio_defaults(&mesh))
    }

    /// Every service of the plan under an autoscaler, with room for three times what the busiest minute needs.
    pub fn autoscaled(&self, mesh: &Mesh) -> Vec<Autoscaled> {
        let minutes = (self.horizon_s / replay::STEP_S) as usize;
        let mut highest = vec![0.0f64; mesh.services.len()];
        for minute in 0..minutes {
            let flows = flows_of(mesh, &self.visits, (minute as f64 + 0.5) * replay::STEP_S);
            for (most, flow) in highest.iter_mut().zip(flows) {
                *most = most.max(flow);
            }
        }
        let services = mesh.services.iter().zip(highest).enumerate();
        services
            .filter(|(_, (service, _))| is_planned(self.plan, &service.name))
            .map(|(i, (service, rps))| Autoscaled {
                service: i,
                target: HPA_TARGET,
                fewest: 2,
                most: instances_for(service, rps, HPA_TARGET).max(2) * 3,
                cron: Vec::new(),
            })
            .collect()
    }

    /// The windows of each replication, the same for all contestants: the first quarter of an hour, the beginning of each hour (where schedules
    /// change), its highest load, and one at random.
    pub fn windows(&self, request: &HindcastRequest) -> Result<Vec<Vec<Window>>, PipelineError> {
        let total = self.replay.total_rps();
        let minutes = request
            .minutes
            .unwrap_or_else(|| self.affordable(request.events));
        let window_s = f64::from(minutes) * 60.0;
        let in_window = (window_s / replay::STEP_S) as usize;
        let mut certain = vec![(0.0, LAUNCH_S.min(self.horizon_s), WindowReason::Launch)];
        for (hour, rates) in total.chunks((3600.0 / replay::STEP_S) as usize).enumerate() {
            let starts_s = hour as f64 * 3600.0;
            certain.push((starts_s, window_s, WindowReason::Change));
            let sums = rates
                .chunks(in_window.max(1))
                .map(|part| part.iter().sum::<f64>());
            // The first of equals.
            let highest = sums
                .enumerate()
                .reduce(|a, b| if b.1 > a.1 { b } else { a });
            let at = highest.map_or(0, |(at, _)| at) as f64 * window_s;
            certain.push((starts_s + at, window_s, WindowReason::Load));
        }
        Ok((0..self.replications)
            .map(|replication| {
                windows(&WindowRequest {
                    horizon_s: self.horizon_s,
                    minutes,
                    certain: certain.clone(),
                    stratum_s: 3600.0,
                    random: 1,
                    seed: mix(self.seed, u64::from(replication)),
                })
                .collect()
            })
            .collect())
    }

    /// The longest windows that keep all runs together within a number of events.
    fn affordable(&self, events: f64) -> u32 {
        let hours = self.horizon_s / 3600.0;
        let mesh = self.planned().unwrap_or_default();
        let calls: f64 = (0..hours as u32)
            .map(|hour| {
                let at_s = f64::from(hour) * 3600.0 + 1800.0;
                flows_of(&mesh, &self.visits, at_s).iter().sum::<f64>()
            })
            .sum::<f64>()
            / hours.max(1.0);
        let contestants = 5.0;
        let seconds = events
            / contestants
            / f64::from(self.replications)
            / (calls * EVENTS_PER_CALL).max(1e-9);
        let needs = |minutes: &u32| LAUNCH_S + hours * 3.0 * (f64::from(*minutes) * 60.0 + 20.0);
        let lengths = [10, 6, 5, 4, 3, 2];
        let found = lengths.into_iter().find(|m| needs(m) <= seconds);
        found.unwrap_or(1)
    }

    pub fn run(
        &self,
        (contestant, mesh, scaled): (Contestant, Mesh, Vec<Autoscaled>),
        replications: &[Vec<Window>],
        progress: &Progress,
    ) -> Result<HindcastRow, PipelineError> {
        let ours = mesh.clone();
        let flows = |at_s: f64| flows_of(&ours, &self.visits, at_s);
        let nobody = |_: &Mesh| -> Vec<Box<dyn Controller>> { Vec::new() };
        let lived = Lived {
            mesh,
            scaled,
            controllers: &nobody,
            flows: &flows,
            horizon_s: self.horizon_s,
        };
        let tallies = run_windows(&lived, replications, self.seed, progress)?;
        let report = DayReport::of(&lived, &tallies, &|service| is_planned(self.plan, service));
        let violated = report.violation_minutes.mean * self.cost.violation_per_minute;
        Ok(HindcastRow {
            contestant,
            cost: report.instance_cost.mean + violated,
            report,
        })
    }
}
