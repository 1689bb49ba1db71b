//! A run that is looked at on its way: what has been measured so far, and what is measured from some time on.

use foremesh_model::random::mix;

use super::{Engine, NS_PER_S, RunOptions, ns, tables};
use crate::{Mesh, Quantiles, Report, Run, SimulateError};

/// A mesh and the tables of its work: what every [`Course`] through it needs.
pub struct Prepared<'a> {
    mesh: &'a Mesh,
    tables: Vec<Quantiles>,
}

impl<'a> Prepared<'a> {
    /// Checks a mesh and makes its tables.
    ///
    /// # Errors
    /// [`SimulateError`] when a number, a name or an index of the mesh cannot be.
    pub fn of(mesh: &'a Mesh) -> Result<Self, SimulateError> {
        mesh.check()?;
        Ok(Self {
            mesh,
            tables: tables(mesh)?,
        })
    }

    /// Begins a run. `options.measured_s` are the most seconds that are measured in all; its random numbers are those of the first run of
    /// [`crate::replicate`].
    ///
    /// # Errors
    /// [`SimulateError`] when a fault lies outside of the run or nothing ever comes.
    pub fn begin(&self, options: &RunOptions) -> Result<Course<'_>, SimulateError> {
        let options = RunOptions {
            seed: mix(options.seed, 0),
            ..*options
        };
        let mut engine = Engine::new(self.mesh, &self.tables, &options)?;
        engine.start(options.seed)?;
        Ok(Course { engine })
    }
}

/// A run on its way. What it measures is what a run of its own of that length measures.
pub struct Course<'a> {
    engine: Engine<'a>,
}

impl Course<'_> {
    /// Goes on until so many seconds have been measured, no further than where the run ends; what was measured until there. Time does not go
    /// back: a time that has passed tells what has been measured by now.
    pub fn measured(&mut self, seconds: f64) -> Report {
        let engine = &mut self.engine;
        let wanted = engine.measure_from + ns(seconds);
        engine.until = wanted.clamp(engine.now, engine.ends);
        while engine.step() {}
        engine.close();
        let mut run: Run = engine.run.clone();
        run.measured_s = match engine.until == wanted {
            true => seconds,
            false => engine.until.saturating_sub(engine.measure_from) as f64 / NS_PER_S,
        };
        engine.sum_up(&mut run);
        Report::of(engine.mesh, &run)
    }

    /// Forgets what was measured: from here on is measured anew. Requests that are under way count in neither time.
    pub fn measure_anew(&mut self) {
        let engine = &mut self.engine;
        engine.measure_from = engine.now;
        let services = engine.services.iter().map(|service| service.places);
        engine.run = Run::blank(engine.mesh, services, 0.0);
    }
}
