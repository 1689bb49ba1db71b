//! What is said of each input that cannot be used, or only in part, word for word. The inputs lie beside the acceptance tests,
//! which show the same texts through the command line and through Terraform.

#![allow(clippy::unwrap_used)]

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use foremesh_model::{Warning, graph::Visits};
use foremesh_observe::{ObserveError, read_catalogue, read_graph, read_history, read_limits};

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../acceptance-tests/tests/bad-input")
        .join(name)
}

/// The error or the warnings of reading one case's file.
fn said(name: &str) -> String {
    let folder = case(name);
    let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap();
    let kind = file.file_name().into_string().unwrap();
    let path = file.path();
    let paths = [path.clone()];
    let warned = |warnings: Vec<Warning>| {
        warnings
            .iter()
            .fold(String::from("used in part:"), |mut text, w| {
                write!(
                    text,
                    "\n  {:?} {} | {} | {}",
                    w.severity, w.code, w.subject, w.text
                )
                .unwrap();
                text
            })
    };
    let read: Result<String, ObserveError> = match kind.as_str() {
        "history.csv" => read_history(&path, None).map(|o| warned(o.warnings)),
        "catalogue.yaml" => read_catalogue(&path).map(|o| warned(o.warnings)),
        "manifests.yaml" => {
            let limits = read_limits(&paths).map(|o| warned(o.warnings));
            let graph = read_graph(&paths, None).map(|o| warned(o.warnings));
            assert_eq!(
                limits.as_ref().map_err(ToString::to_string),
                graph.as_ref().map_err(ToString::to_string)
            );
            graph
        }
        _ => read_graph(&paths, None).map(|o| match Visits::of(&o.value) {
            Ok(_) => warned(o.warnings),
            Err(error) => format!("the graph is read; its rates are not: {error}"),
        }),
    };
    let text = read.unwrap_or_else(|error| {
        assert!(!error.is_outside());
        error.to_string()
    });
    text.replace(&format!("{}/", folder.display()), "")
}

#[test]
fn every_case_is_said_word_for_word() {
    let mut names: Vec<String> = std::fs::read_dir(case(""))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    let text: String = names
        .iter()
        .map(|name| format!("{name}: {}\n", said(name)))
        .collect();
    insta::assert_snapshot!(text, @r##"
broken-json: graph.json, line 2, column 37: not JSON: trailing comma; mend or export the file again
broken-yaml: manifests.yaml, line 5, column 13: not YAML: mapping values are not allowed in this context; mend the document
cut-traces: used in part:
  Caution trace_file_cut | traces.json | the file is cut short: the spans that are complete before byte 459 of 524 are used, the rest is not; export it again
duplicate-timestamps: history.csv, lines 4 and 6: eu-west-1/shop/web at 2026-10-05T02:00:00Z has requests_per_second = 42 and 90; keep one row for each timestamp, region and service (local time that is turned back makes such pairs: write timestamps with their offset or in UTC)
empty-history: history.csv: no value of requests_per_second was found; export the history of at least two weeks, one row for each timestamp, region and service
gaps: used in part:
  Caution history_gaps | history.csv | 1 of 1 series of requests_per_second have missing steps, the worst is eu-west-1/shop/web: 10 of 48 steps (20.8%), the first at 2026-10-05T10:00:00Z; missing steps are gaps and not zeros: fill them in the export if values exist
growing-cycle: the graph is read; its rates are not: the services ["shop/cart", "shop/prices"] call each other in a circle and each request makes at least one more (product of fan-outs 1.000 >= 1): the load would grow without end; lower a fan-out of this circle in the graph or the catalogue
helm-template: manifests.yaml, line 4: this is Helm template text (name: {{ .Release.Name }}-web), not YAML; render it first: `helm template RELEASE CHART > manifests.yaml`, and give that file
malformed-cell: history.csv, line 6, column requests_per_second: "about 40" is not a number: write a number such as 12.5, or leave the cell empty where the value is missing
malformed-row: history.csv, line 5: 2 cells where the header has 4; write one cell for each column (leave a cell empty where a value is missing) and quote a cell that holds a comma
malformed-timestamp: history.csv, line 4, column timestamp: "5 October 2am" is not a time: write it as 2026-12-01T06:00:00Z (failed to parse four digit integer as year: invalid digit, expected 0-9 but got  )
misspelt-catalogue: catalogue.yaml, line 3, column 5: unknown field `capasity`, expected one of protocol, port, criticality, stateful, instances, capacity, calls
negative-rates: used in part:
  Caution history_negative_values | history.csv: eu-west-1/shop/web requests_per_second | 2 values below 0, first at line 7; treated as missing: mend the export (a counter that restarted gives such values: use rate(), not a difference)
  Note history_gaps | history.csv | 1 of 1 series of requests_per_second have missing steps, the worst is eu-west-1/shop/web: 2 of 48 steps (4.2%), the first at 2026-10-05T05:00:00Z; missing steps are gaps and not zeros: fill them in the export if values exist
unclosed-quote: history.csv, line 4: a quote (") is opened and not closed on this line; close it
unknown-edge-end: graph.json: edges: "shop/web" -> "shop/crat" names "shop/crat", which services does not list: add it or mend the name
zero-capacity: catalogue.yaml, line 5: services."shop/web".capacity.concurrency must be at least 1: an instance that works on no request serves none
"##);
}
