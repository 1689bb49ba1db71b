//! One module a command; each answers how it ended.

mod audit;
mod explain;
mod forecast;
mod hindcast;
mod lint;
mod observe;
mod plan;
mod render;
mod runtime;
pub mod show;
mod simulate;
mod train;

use std::path::Path;

use foremesh_model::Fault;
use foremesh_pipeline::{Folder, PipelineError, parse_fault};

use crate::{
    args::{Cli, Command, Format, Override},
    error::CliError,
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

/// Reads faults as options give them; those without an end last to `seconds`.
fn faults(texts: &[String], seconds: f64) -> Result<Vec<Fault>, PipelineError> {
    let read = |text: &String| {
        parse_fault(text, seconds).map_err(|cause| PipelineError::RequestValue {
            field: "--fault".into(),
            cause,
        })
    };
    texts.iter().map(read).collect()
}

/// Writes a file that the user named, whole, over whatever stands there.
fn write_file(path: &Path, text: &str) -> Result<(), PipelineError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Folder::new(path.parent().unwrap_or(Path::new(""))).replace(&name, text)?;
    Ok(())
}

/// Runs a command.
pub async fn run(cli: &Cli, overrides: &[Override]) -> Result<Outcome, CliError> {
    refuse_csv(cli)?;
    Ok(match &cli.command {
        Command::Train(args) => return train::run(args, cli.format),
        Command::Observe(args) => observe::run(args, cli.format),
        Command::Forecast(args) => return forecast::run(args, cli.format).await,
        Command::Plan(args) => plan::run(args, overrides, cli.format).await,
        Command::Render(args) => render::run(args, cli.format),
        Command::Lint(args) => lint::run(args, cli.format),
        Command::Explain(args) => explain::run(args, cli.format),
        Command::Simulate(args) => simulate::run(args, cli.format),
        Command::Show(args) => show::run(args, cli.format),
        Command::Runtime(args) => runtime::run(args, cli.format),
        Command::Hindcast(args) => hindcast::run(args, cli.format).await,
        Command::Audit(args) => audit::run(args, cli.format).await,
    }?)
}
