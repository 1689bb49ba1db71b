//! What a scenario found: both columns side by side, and the whole as Markdown.

use std::fmt::Write as _;

use super::Simulated;

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A share, 0 … 1, shown in percent.
    Share,
    /// A plain number.
    Number,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
}

/// How near both columns must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// Within so much of each other, in the unit of the number: 0.05 of a share is five percentage points.
    Within(f64),
    /// Within such a part of Envoy's number.
    Part(f64),
    /// Both above or both below 0.
    Sign,
}

/// A number of both.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What was set.
    pub case: String,
    /// What is compared.
    pub measure: String,
    /// What it is.
    pub unit: Unit,
    /// Envoy's.
    pub envoy: f64,
    /// The simulator's, mean of its runs.
    pub simulated: f64,
    /// How far one run of the simulator strays from that mean.
    pub spread: f64,
    /// How near they must be.
    pub goal: Goal,
}

impl Row {
    pub(super) fn new(
        case: impl Into<String>,
        measure: impl Into<String>,
        (unit, goal): (Unit, Goal),
        envoy: f64,
        simulated: Simulated,
    ) -> Self {
        Self {
            case: case.into(),
            measure: measure.into(),
            unit,
            envoy,
            simulated: simulated.mean,
            spread: simulated.spread,
            goal,
        }
    }

    /// A share that must be within five percentage points.
    pub(super) fn share(
        case: impl Into<String>,
        measure: impl Into<String>,
        envoy: f64,
        simulated: Simulated,
    ) -> Self {
        let goal = (Unit::Share, Goal::Within(0.05));
        Self::new(case, measure, goal, envoy, simulated)
    }

    /// Whether the goal is met.
    pub fn held(&self) -> bool {
        self.near(0.0)
    }

    /// Whether the goal is met, or missed by no more than one run strays: for a test that must not fail by chance.
    pub fn held_but_for_chance(&self) -> bool {
        self.near(self.spread)
    }

    fn near(&self, chance: f64) -> bool {
        let away = (self.simulated - self.envoy).abs();
        let most = match self.goal {
            Goal::Within(most) => most,
            Goal::Part(most) => most * self.envoy.abs(),
            Goal::Sign => return self.simulated * self.envoy > 0.0,
        };
        away <= most + chance
    }

    fn shown(&self, value: f64) -> String {
        match self.unit {
            Unit::Share => format!("{:.1}%", value * 100.0),
            Unit::Number => format!("{value:.3}"),
            Unit::Milliseconds => format!("{value:.1} ms"),
            Unit::Seconds => format!("{value:.2} s"),
        }
    }

    fn difference(&self) -> String {
        let away = self.simulated - self.envoy;
        match (self.goal, self.unit) {
            (Goal::Part(_), _) => format!("{:+.1}%", away / self.envoy * 100.0),
            (_, Unit::Share) => format!("{:+.1} points", away * 100.0),
            (_, Unit::Number) => format!("{away:+.3}"),
            (_, Unit::Milliseconds) => format!("{away:+.1} ms"),
            (_, Unit::Seconds) => format!("{away:+.2} s"),
        }
    }

    fn wanted(&self) -> String {
        match (self.goal, self.unit) {
            (Goal::Sign, _) => "the same sign".into(),
            (Goal::Part(most), _) => format!("{:.0}%", most * 100.0),
            (Goal::Within(most), Unit::Share) => format!("{:.0} points", most * 100.0),
            (Goal::Within(most), _) => self.shown(most),
        }
    }
}

/// What a scenario found.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// What it is about.
    pub title: &'static str,
    /// What was set up.
    pub setup: &'static str,
    /// The numbers.
    pub rows: Vec<Row>,
    /// How late the latest hundredth of the requests was sent, in milliseconds.
    pub late_p99_ms: f64,
}

impl Section {
    /// How many of its numbers keep their goal.
    pub fn held(&self) -> usize {
        self.rows.iter().filter(|row| row.held()).count()
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("## {}\n\n{}\n\n", self.title, self.setup);
        text += "| case | measure | Envoy | simulator | one run ± | difference | goal | held |\n";
        text += "|---|---|---:|---:|---:|---:|---:|---|\n";
        for row in &self.rows {
            // A string takes whatever is written to it.
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} | {} |",
                row.case,
                row.measure,
                row.shown(row.envoy),
                row.shown(row.simulated),
                row.shown(row.spread),
                row.difference(),
                row.wanted(),
                if row.held() { "yes" } else { "**no**" },
            );
        }
        let _ = write!(
            text,
            "\n{} of {} within the goal. 99% of the requests were sent within {:.0} ms of their time.\n",
            self.held(),
            self.rows.len(),
            self.late_p99_ms,
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(envoy: f64, simulated: f64, goal: Goal) -> Row {
        let simulated = Simulated {
            mean: simulated,
            spread: 0.0,
        };
        Row::new("a", "b", (Unit::Share, goal), envoy, simulated)
    }

    #[test]
    fn a_goal_is_missed_on_both_sides() {
        assert!(row(0.40, 0.449, Goal::Within(0.05)).held());
        assert!(!row(0.40, 0.451, Goal::Within(0.05)).held());
        assert!(!row(0.40, 0.349, Goal::Within(0.05)).held());
        assert!(row(100.0, 119.0, Goal::Part(0.2)).held());
        assert!(!row(100.0, 79.0, Goal::Part(0.2)).held());
        assert!(!row(f64::NAN, 0.0, Goal::Part(0.2)).held());
    }

    #[test]
    fn both_columns_stand_side_by_side() {
        let section = Section {
            title: "T",
            setup: "S.",
            rows: vec![row(0.4, 0.5, Goal::Within(0.05))],
            late_p99_ms: 2.0,
        };
        let text = section.markdown();
        assert!(
            text.contains("| a | b | 40.0% | 50.0% | 0.0% | +10.0 points | 5 points | **no** |"),
            "{text}"
        );
        assert!(text.contains("0 of 1 within the goal"), "{text}");
    }
}
