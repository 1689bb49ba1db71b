//! The learning curve as a picture that a browser shows.

use plotters::prelude::*;

use super::train::Point;
use crate::TrainError;

const SIZE: (u32, u32) = (800, 420);

/// Draws training and validation losses over steps, as SVG. Equal curves give equal bytes.
///
/// # Errors
/// [`TrainError::Curve`] when it cannot be drawn.
pub fn draw(title: &str, curve: &[Point]) -> Result<String, TrainError> {
    let mut svg = String::new();
    draw_into(&mut svg, title, curve).map_err(|cause| TrainError::Curve(cause.to_string()))?;
    Ok(svg)
}

fn draw_into(
    svg: &mut String,
    title: &str,
    curve: &[Point],
) -> Result<(), Box<dyn std::error::Error>> {
    type Line = (&'static str, RGBColor, fn(&Point) -> f64);
    let lines: [Line; 3] = [
        ("training windows", RGBColor(150, 150, 150), |p| p.training),
        ("synthetic windows held back", RGBColor(31, 119, 180), |p| {
            p.synthetic
        }),
        ("real windows held back", RGBColor(214, 39, 40), |p| {
            p.real.unwrap_or(f64::NAN)
        }),
    ];
    let all = curve
        .iter()
        .flat_map(|p| [p.training, p.synthetic, p.real.unwrap_or(f64::NAN)]);
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
    let steps = curve.last().map_or(1, |p| p.step).max(1);
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
        .y_desc("pinball loss, in spreads")
        .draw()?;
    for (name, colour, loss) in lines {
        let points = curve.iter().map(|p| (p.step, loss(p)));
        let points = points.filter(|(_, loss)| loss.is_finite());
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(name)
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
