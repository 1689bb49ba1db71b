//! The learning curve as a picture that a browser shows.

use plotters::prelude::*;

use crate::TrainError;

const SIZE: (u32, u32) = (800, 420);

/// A line of a learning curve.
#[derive(Debug, Clone)]
pub struct Line {
    /// What it shows.
    pub name: &'static str,
    /// Steps and values; those that are no number are left out.
    pub points: Vec<(u64, f64)>,
}

const COLOURS: [RGBColor; 4] = [
    RGBColor(150, 150, 150),
    RGBColor(31, 119, 180),
    RGBColor(214, 39, 40),
    RGBColor(44, 160, 44),
];

/// Draws lines over steps, as SVG. Equal lines give equal bytes.
///
/// # Errors
/// [`TrainError::Curve`] when it cannot be drawn.
pub fn draw(title: &str, unit: &str, lines: &[Line]) -> Result<String, TrainError> {
    let mut svg = String::new();
    draw_into(&mut svg, title, unit, lines)
        .map_err(|cause| TrainError::Curve(cause.to_string()))?;
    Ok(svg)
}

fn draw_into(
    svg: &mut String,
    title: &str,
    unit: &str,
    lines: &[Line],
) -> Result<(), Box<dyn std::error::Error>> {
    let all = lines
        .iter()
        .flat_map(|line| line.points.iter().map(|p| p.1));
    let known: Vec<f64> = all.filter(|loss| loss.is_finite()).collect();
    let lowest = known.iter().copied().fold(f64::INFINITY, f64::min);
    let mut sorted = known.clone();
    sorted.sort_by(f64::total_cmp);
    // The first points tower above all others.
    let highest = sorted.get(sorted.len() * 9 / 10).copied().unwrap_or(1.0);
    let (low, high) = if lowest.is_finite() {
        (lowest * 0.95, highest * 1.1)
    } else {
        (0.0, 1.0)
    };
    let last = lines
        .iter()
        .flat_map(|line| line.points.iter().map(|p| p.0));
    let steps = last.max().unwrap_or(1).max(1);
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0..steps, low..high)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("steps")
        .y_desc(unit)
        .draw()?;
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let points = line.points.iter().copied();
        let points = points.filter(|(_, value)| value.is_finite());
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .border_style(BLACK.mix(0.3))
        .background_style(WHITE)
        .draw()?;
    area.present()?;
    Ok(())
}
