//! What is wrong only when objects stand side by side: in the files of one lint, or what is rendered beside what is there already.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{Finding, Level, Problem, document::Document};

/// Istio's root namespace: what stands there without a selector holds for the whole mesh.
const ROOT_NAMESPACE: &str = "istio-system";

/// The kinds that a rule looks at; other documents need not be parsed for the sake of these rules.
pub(super) const KINDS: [&str; 9] = [
    "ScaledObject",
    "HorizontalPodAutoscaler",
    "Deployment",
    "StatefulSet",
    "Rollout",
    "DestinationRule",
    "VirtualService",
    "EnvoyFilter",
    "Sidecar",
];

/// Two objects that do not go together, or one that lacks another.
pub(super) struct Clash<'d, 'a> {
    pub(super) document: &'d Document<'a>,
    pub(super) other: Option<&'d Document<'a>>,
    problem: Problem,
}

impl Clash<'_, '_> {
    pub(super) fn finding(self) -> Finding {
        self.document.finding(self.problem)
    }
}

/// Finds them. Where one of two has to be named, it is the later one, with the earlier one in the text.
pub(super) fn check<'d, 'a>(documents: &'d [Document<'a>]) -> Vec<Clash<'d, 'a>> {
    let mut clashes = Vec::new();
    replicas_beside_autoscaler(documents, &mut clashes);
    two_autoscalers(documents, &mut clashes);
    selector_without_rest(documents, &mut clashes);
    two_virtual_services(documents, &mut clashes);
    two_destination_rules(documents, &mut clashes);
    hidden_destination_rule(documents, &mut clashes);
    sidecars(documents, &mut clashes);
    two_filters(documents, &mut clashes);
    one_object_twice(documents, &mut clashes);
    clashes
}

fn of<'d, 'a>(
    documents: &'d [Document<'a>],
    kind: &str,
) -> impl Iterator<Item = &'d Document<'a>> + Clone {
    documents
        .iter()
        .filter(move |document| document.kind() == kind)
}

fn clash<'d, 'a>(
    (document, other): (&'d Document<'a>, &'d Document<'a>),
    rule: &'static str,
    level: Level,
    field: &'static str,
    text: String,
) -> Clash<'d, 'a> {
    Clash {
        document,
        other: Some(other),
        problem: Problem {
            rule,
            level,
            field,
            text,
        },
    }
}

/// What an autoscaler scales: namespace, kind, name.
fn scaled<'d>(document: &'d Document<'_>) -> Option<(&'d str, &'d str, &'d str)> {
    if !matches!(document.kind(), "ScaledObject" | "HorizontalPodAutoscaler") {
        return None;
    }
    let target = &document.value["spec"]["scaleTargetRef"];
    Some((
        document.namespace(),
        target["kind"].as_str().unwrap_or("Deployment"),
        target["name"].as_str()?,
    ))
}

fn replicas_beside_autoscaler<'d, 'a>(
    documents: &'d [Document<'a>],
    clashes: &mut Vec<Clash<'d, 'a>>,
) {
    let mut scalers = BTreeMap::new();
    for document in documents {
        if let Some(target) = scaled(document) {
            scalers.entry(target).or_insert(document);
        }
    }
    for document in documents {
        let key = (document.namespace(), document.kind(), document.name());
        let Some(scaler) = scalers.get(&key) else {
            continue;
        };
        if !document.value["spec"]["replicas"].is_null() {
            let text = format!(
                "{} sets the replicas of this workload: each apply throws them back; remove replicas",
                scaler.place()
            );
            clashes.push(clash(
                (document, scaler),
                "replicas-beside-autoscaler",
                Level::Error,
                "replicas",
                text,
            ));
        }
    }
}

fn two_autoscalers<'d, 'a>(documents: &'d [Document<'a>], clashes: &mut Vec<Clash<'d, 'a>>) {
    let mut owners: BTreeMap<_, &'d Document<'a>> = BTreeMap::new();
    for document in documents {
        let Some(target) = scaled(document) else {
            continue;
        };
        match owners.get(&target) {
            Some(first) if first.is(document) => {}
            Some(first) => clashes.push(clash(
                (document, first),
                "two-autoscalers",
                Level::Error,
                "scaleTargetRef",
                format!(
                    "{} {} is scaled by {} too: the two undo each other; {}",
                    target.1,
                    target.2,
                    first.place(),
                    cure(document, first, "remove one", "target autoscaling")
                ),
            )),
            None => {
                owners.insert(target, document);
            }
        }
    }
}

/// A rule with a selector hides the callee's own rule from its whole namespace.
fn selector_without_rest<'d, 'a>(documents: &'d [Document<'a>], clashes: &mut Vec<Clash<'d, 'a>>) {
    let for_all: BTreeSet<(&str, String)> = of(documents, "DestinationRule")
        .filter(|document| document.value["spec"]["workloadSelector"].is_null())
        .map(|document| (document.namespace(), document.host()))
        .collect();
    let alone = of(documents, "DestinationRule")
        .filter(|document| !document.value["spec"]["workloadSelector"].is_null())
        .filter(|document| !for_all.contains(&(document.namespace(), document.host())));
    clashes.extend(alone.map(|document| Clash {
        document,
        other: None,
        problem: Problem {
            rule: "selector-without-rest",
            level: Level::Warning,
            field: "workloadSelector",
            text: format!(
                "this is the only rule for its host in namespace {}: workloads there that it does not select get no rule at all, not the callee's; \
                 add one without workloadSelector",
                document.namespace()
            ),
        },
    }));
}

fn two_virtual_services<'d, 'a>(documents: &'d [Document<'a>], clashes: &mut Vec<Clash<'d, 'a>>) {
    let mut owners: BTreeMap<(&str, String), &'d Document<'a>> = BTreeMap::new();
    for document in of(documents, "VirtualService") {
        let spec = &document.value["spec"];
        let in_mesh = spec["gateways"]
            .as_array()
            .is_none_or(|gateways| gateways.iter().any(|gateway| gateway == "mesh"));
        let exported = if spec["exportTo"].is_null() {
            "*"
        } else {
            document.namespace()
        };
        for host in spec["hosts"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|_| in_mesh)
        {
            let key = (exported, document.full_host(host));
            match owners.get(&key) {
                Some(first) if first.is(document) => {}
                Some(first) => {
                    let text = format!(
                        "{} is routed by {} too: inside the mesh Istio takes the older and drops the other; {}",
                        key.1,
                        first.place(),
                        cure(document, first, "merge them", "target istio")
                    );
                    let pair = (document, *first);
                    clashes.push(clash(
                        pair,
                        "two-virtual-services",
                        Level::Warning,
                        "hosts",
                        text,
                    ));
                }
                None => {
                    owners.insert(key, document);
                }
            }
        }
    }
}

/// Two rules of one namespace for the same host and the same workloads.
fn two_destination_rules<'d, 'a>(documents: &'d [Document<'a>], clashes: &mut Vec<Clash<'d, 'a>>) {
    let mut owners: BTreeMap<(&str, String, String), &'d Document<'a>> = BTreeMap::new();
    for document in of(documents, "DestinationRule") {
        let spec = &document.value["spec"];
        // Rules that bring subsets only are merged with the one that brings the policy.
        if spec["trafficPolicy"].is_null() {
            continue;
        }
        let labels: BTreeMap<&String, &Value> = spec["workloadSelector"]["matchLabels"]
            .as_object()
            .into_iter()
            .flatten()
            .collect();
        let key = (
            document.namespace(),
            document.host(),
            serde_json::to_string(&labels).unwrap_or_default(),
        );
        match owners.get(&key) {
            Some(first) if first.is(document) => {}
            Some(first) => {
                let text = format!(
                    "{} has a trafficPolicy in {} too: Istio keeps the one of the older and drops the other; {}",
                    key.1,
                    first.place(),
                    cure(document, first, "merge them", "target istio")
                );
                let pair = (document, *first);
                clashes.push(clash(
                    pair,
                    "two-destination-rules",
                    Level::Warning,
                    "host",
                    text,
                ));
            }
            None => {
                owners.insert(key, document);
            }
        }
    }
}

/// A team's rule in its own namespace for a service that Foremesh has a rule for: the nearer one wins for the callers there.
fn hidden_destination_rule<'d, 'a>(
    documents: &'d [Document<'a>],
    clashes: &mut Vec<Clash<'d, 'a>>,
) {
    let planned: BTreeMap<(&str, String), &'d Document<'a>> = of(documents, "DestinationRule")
        .filter(|document| document.is_ours())
        .map(|document| ((document.namespace(), document.host()), document))
        .collect();
    for document in of(documents, "DestinationRule").filter(|document| !document.is_ours()) {
        let host = document.host();
        // `name.namespace.svc.…`: where the callee lives.
        let Some(home) = host.split('.').nth(1) else {
            continue;
        };
        if home == document.namespace()
            || planned.contains_key(&(document.namespace(), host.clone()))
        {
            continue;
        }
        if let Some(other) = planned.get(&(home, host.clone())) {
            let text = format!(
                "callers in namespace {} get this rule for {host}, not {}: the plan's limits do not hold for them; \
                 delete this one, or take the plan's limits into it",
                document.namespace(),
                other.place(),
            );
            clashes.push(clash(
                (document, other),
                "hidden-destination-rule",
                Level::Warning,
                "host",
                text,
            ));
        }
    }
}

/// The labels that an object selects workloads by; none: all of its namespace.
fn selector<'d>(document: &'d Document<'_>) -> Option<&'d Map<String, Value>> {
    document.value["spec"]["workloadSelector"]["labels"]
        .as_object()
        .filter(|labels| !labels.is_empty())
}

/// Whether what one selector selects is among what the other selects.
fn overlap(a: Option<&Map<String, Value>>, b: Option<&Map<String, Value>>) -> bool {
    let within = |inner: &Map<String, Value>, outer: &Map<String, Value>| {
        outer
            .iter()
            .all(|(key, value)| inner.get(key) == Some(value))
    };
    match (a, b) {
        (Some(a), Some(b)) => within(a, b) || within(b, a),
        _ => true,
    }
}

fn sidecars<'d, 'a>(documents: &'d [Document<'a>], clashes: &mut Vec<Clash<'d, 'a>>) {
    let sidecars: Vec<&'d Document<'a>> = of(documents, "Sidecar").collect();
    let mut by_namespace: BTreeMap<&str, Vec<&'d Document<'a>>> = BTreeMap::new();
    for sidecar in sidecars {
        by_namespace
            .entry(sidecar.namespace())
            .or_default()
            .push(sidecar);
    }
    for (namespace, sidecars) in by_namespace {
        for (index, document) in sidecars.iter().enumerate() {
            for first in sidecars
                .iter()
                .take(index)
                .filter(|first| !first.is(document))
            {
                let (a, b) = (selector(first), selector(document));
                if a.is_some() == b.is_some() && overlap(a, b) {
                    let text = format!(
                        "{} holds for the same workloads: which of the two Istio takes is not defined; {}",
                        first.place(),
                        cure(document, first, "merge them", "option namespace_sidecars")
                    );
                    let pair = (*document, *first);
                    clashes.push(clash(
                        pair,
                        "two-sidecars",
                        Level::Error,
                        "workloadSelector",
                        text,
                    ));
                } else if a.is_some() != b.is_some() && scope(first) != scope(document) {
                    let (one, all) = if a.is_some() {
                        (first, document)
                    } else {
                        (document, first)
                    };
                    let text = format!(
                        "this takes the place of {} for the workloads it selects, with another egress or outboundTrafficPolicy: Istio merges no \
                         Sidecars; write both alike (option namespace_sidecars carries over what namespace {namespace} has)",
                        all.place(),
                    );
                    clashes.push(clash(
                        (one, all),
                        "sidecar-scope",
                        Level::Warning,
                        "workloadSelector",
                        text,
                    ));
                }
            }
        }
    }
}

/// What a Sidecar lets its workloads see and reach.
fn scope<'d>(document: &'d Document<'_>) -> (&'d Value, &'d Value) {
    let spec = &document.value["spec"];
    (&spec["egress"], &spec["outboundTrafficPolicy"])
}

/// What a patch of an EnvoyFilter sets, where two that set it do not go together.
#[derive(PartialEq)]
struct Patch<'d> {
    context: &'d str,
    /// The filter that is inserted, or the field of a cluster that is merged.
    what: &'d str,
    /// The host of the cluster; empty: every one.
    service: &'d str,
}

impl<'d> Patch<'d> {
    fn all(document: &'d Document<'_>) -> Vec<Self> {
        let mut patches = Vec::new();
        for entry in document.value["spec"]["configPatches"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let (condition, patch) = (&entry["match"], &entry["patch"]);
            let context = condition["context"].as_str().unwrap_or("ANY");
            let operation = patch["operation"].as_str().unwrap_or_default();
            let inserts = operation.starts_with("INSERT") || operation == "ADD";
            match entry["applyTo"].as_str() {
                Some("HTTP_FILTER" | "NETWORK_FILTER") if inserts => {
                    if let Some(what) = patch["value"]["name"].as_str() {
                        patches.push(Self {
                            context,
                            what,
                            service: "",
                        });
                    }
                }
                Some("CLUSTER") if operation == "MERGE" => {
                    let service = condition["cluster"]["service"].as_str().unwrap_or_default();
                    let fields = patch["value"].as_object().into_iter().flatten();
                    patches.extend(fields.map(|(what, _)| Self {
                        context,
                        what,
                        service,
                    }));
                }
                _ => {}
            }
        }
        patches
    }

    fn meets(&self, other: &Self) -> bool {
        let same = |a: &str, b: &str, any: &str| a == b || a == any || b == any;
        self.what == other.what
            && same(self.context, other.context, "ANY")
            && same(self.service, other.service, "")
    }
}

fn two_filters<'d, 'a>(documents: &'d [Document<'a>], clashes: &mut Vec<Clash<'d, 'a>>) {
    let filters: Vec<(&'d Document<'a>, Vec<Patch<'d>>)> = of(documents, "EnvoyFilter")
        .map(|document| (document, Patch::all(document)))
        .filter(|(_, patches)| !patches.is_empty())
        .collect();
    // By what they set, so that hundreds of filters need not be compared with each other.
    let mut by_patch: BTreeMap<&str, Vec<(&'d Document<'a>, &Patch<'d>)>> = BTreeMap::new();
    for (document, patches) in &filters {
        for patch in patches {
            by_patch
                .entry(patch.what)
                .or_default()
                .push((document, patch));
        }
    }
    let near = |a: &Document<'_>, b: &Document<'_>| {
        a.namespace() == b.namespace() || [a, b].iter().any(|d| d.namespace() == ROOT_NAMESPACE)
    };
    for (what, users) in by_patch {
        for (index, (document, patch)) in users.iter().enumerate() {
            let first = users.iter().take(index).find(|(first, earlier)| {
                !first.is(document)
                    && patch.meets(earlier)
                    && near(first, document)
                    && overlap(selector(first), selector(document))
            });
            if let Some((first, _)) = first {
                let text = format!(
                    "{} sets {what} for the same proxies: both act, one after the other; {}",
                    first.place(),
                    cure(document, first, "keep one", "target istio")
                );
                let pair = (*document, *first);
                clashes.push(clash(
                    pair,
                    "two-filters",
                    Level::Warning,
                    "configPatches",
                    text,
                ));
            }
        }
    }
}

/// An object of Foremesh that someone else writes too: whoever applies last wins, each time anew.
fn one_object_twice<'d, 'a>(documents: &'d [Document<'a>], clashes: &mut Vec<Clash<'d, 'a>>) {
    let ours: BTreeMap<_, &'d Document<'a>> = documents
        .iter()
        .filter(|document| document.is_ours())
        .map(|document| (document.identity(), document))
        .collect();
    for document in documents.iter().filter(|document| !document.is_ours()) {
        if let Some(first) = ours.get(&document.identity()) {
            let text = format!(
                "{} is the same object: what is applied last takes the place of the other; take it out of {} with what the plan sets too, or leave \
                 the plan's out (do not delete it in the cluster: the plan's would go with it)",
                first.place(),
                document.file
            );
            clashes.push(clash(
                (document, first),
                "one-object-twice",
                Level::Warning,
                "metadata",
                text,
            ));
        }
    }
}

/// How to mend it: where one of the two is Foremesh's and the other is not, which of them to leave out.
fn cure(a: &Document<'_>, b: &Document<'_>, otherwise: &str, part: &str) -> String {
    let theirs = match (a.is_ours(), b.is_ours()) {
        (true, false) => b,
        (false, true) => a,
        _ => return otherwise.into(),
    };
    format!(
        "delete {} {}/{} once the plan's is applied (what it sets beyond the plan: write it elsewhere), or leave the plan's out ({part})",
        theirs.kind(),
        theirs.namespace(),
        theirs.name()
    )
}
