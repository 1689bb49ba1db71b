//! One module a command; each answers how it ended.

mod audit;
mod explain;
mod forecast;
mod hindcast;
mod lint;
mod observe;
mod plan;
mod render;
pub mod show;
mod simulate;

use foremesh_pipeline::PipelineError;

use crate::{
    args::{Cli, Command, Format, Override},
    output::Outcome,
};

/// Rows are what a forecast and an audit are made of; any other result has no columns.
fn refuse_csv(cli: &Cli) -> Result<(), PipelineError> {
    let rows = matches!(cli.command, Command::Forecast(_) | Command::Audit(_));
    if cli.format != Format::Csv || rows {
        return Ok(());
    }
    Err(PipelineError::RequestValue {
        field: "--format csv".into(),
        cause: "only `foremesh forecast` and `foremesh audit` print rows: use --format json (machines) or text (people)".into(),
    })
}

/// Runs a command.
pub async fn run(cli: &Cli, overrides: &[Override]) -> Result<Outcome, PipelineError> {
    refuse_csv(cli)?;
    match &cli.command {
        Command::Observe(args) => observe::run(args, cli.format),
        Command::Forecast(args) => forecast::run(args, cli.format),
        Command::Plan(args) => plan::run(args, overrides, cli.format).await,
        Command::Render(args) => render::run(args, cli.format),
        Command::Lint(args) => lint::run(args, cli.format),
        Command::Explain(args) => explain::run(args, cli.format),
        Command::Simulate(args) => simulate::run(args, cli.format),
        Command::Show(args) => show::run(args, cli.format),
        Command::Hindcast(args) => hindcast::run(args, cli.format).await,
        Command::Audit(args) => audit::run(args, cli.format).await,
    }
}
