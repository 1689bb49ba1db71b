//! `foremesh observe`: sources → service graph.

use std::path::Path;

use foremesh_model::{GraphFile, SourceRequest};
use foremesh_pipeline::{PipelineError, Sources};

use crate::{
    args::{Format, Observe},
    commands::write_file,
    output::{self, Outcome, number},
};

/// Reads the sources and shows or writes the graph.
pub fn run(args: &Observe, format: Format) -> Result<Outcome, PipelineError> {
    let request = SourceRequest {
        graph: args
            .sources
            .iter()
            .map(|path| path.display().to_string())
            .collect(),
        catalogue: args
            .catalogue
            .as_ref()
            .map(|path| path.display().to_string()),
        ..SourceRequest::default()
    };
    let observed = Sources::load_graph(&request, None, Path::new(""))?;
    let graph = observed.value;
    let file = GraphFile::from(graph.clone());
    if let Some(output) = &args.output {
        let text = serde_json::to_string_pretty(&file).unwrap_or_default() + "\n";
        write_file(output, &text)?;
    }
    match format {
        Format::Json => output::print_json(&file),
        _ => {
            let unknown = || "?".to_owned();
            let rows = graph
                .edges()
                .map(|edge| {
                    let sources: Vec<String> = edge
                        .provenance
                        .iter()
                        .map(|p| format!("{:?}", p.source).to_lowercase())
                        .collect();
                    vec![
                        format!("{} -> {}", edge.caller, edge.callee),
                        edge.fan_out.map_or_else(unknown, number),
                        edge.latency_p50_ms.map_or_else(unknown, number),
                        edge.latency_p99_ms.map_or_else(unknown, number),
                        edge.error_rate.map_or_else(unknown, number),
                        sources.join("+"),
                    ]
                })
                .collect();
            let header = [
                "edge",
                "calls/request",
                "p50 ms",
                "p99 ms",
                "errors",
                "seen in",
            ];
            output::print(&output::table(&header, rows));
            output::print(&format!(
                "\n{}, {}\n",
                output::count(graph.len(), "service", "services"),
                output::count(graph.edges().len(), "edge", "edges")
            ));
            if let Some(output) = &args.output {
                output::print(&format!("written to {}\n", output.display()));
            }
        }
    }
    output::warnings(&observed.warnings, 20);
    Ok(Outcome::Done)
}
