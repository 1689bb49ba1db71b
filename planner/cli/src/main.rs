//! The command line of Foremesh: the same pipeline as the Terraform provider, with no Terraform needed.

mod args;
mod commands;
mod error;
mod output;

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let (cli, overrides) = args::parse();
    output::log_to_stderr(cli.verbose);
    match commands::run(&cli, &overrides).await {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            output::error(&error);
            output::Outcome::of(&error).into()
        }
    }
}
