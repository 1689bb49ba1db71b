//! Renders settings (JSON) for a target into a folder: `render_json SETTINGS TARGET FOLDER [OPTIONS_JSON]`.
#![allow(clippy::unwrap_used)]
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let s = serde_json::from_str(&std::fs::read_to_string(&a[1]).unwrap()).unwrap();
    let o = a
        .get(4)
        .map_or_else(Default::default, |o| serde_json::from_str(o).unwrap());
    match foremesh_render::render(&s, a[2].parse().unwrap(), &o) {
        Ok(files) => {
            for (p, t) in files {
                let p = std::path::Path::new(&a[3]).join(p);
                std::fs::create_dir_all(p.parent().unwrap()).unwrap();
                std::fs::write(p, t).unwrap();
            }
        }
        Err(e) => {
            eprintln!("{e}");
            std::process::exit(1)
        }
    }
}
