//! Time against the number of inputs, on logarithmic axes: a panel for each number of outputs, a line for each wrapper.
use super::table::Row;
use crate::command::{count, short};
use crate::failure::Failure;
use plotters::prelude::*;
use std::ops::Range;
use std::path::Path;

/// Colours that people tell apart, whatever their eyes; as many as there are wrappers.
const COLOURS: [RGBColor; 5] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(80, 80, 80),
];
const PANEL: (u32, u32) = (520, 420);
const TITLE: u32 = 40;

/// The picture as the text of the SVG file at `path`.
pub fn svg(path: &Path, title: &str, rows: &[Row]) -> Result<String, Failure> {
    #[cfg(feature = "train")]
    crate::pictures::font();
    let mut text = String::new();
    draw(title, rows, &mut text).map_err(|e| Failure::file(path, format!("cannot be drawn: {e}")))?;
    Ok(text)
}

fn draw(title: &str, rows: &[Row], text: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let outputs = distinct(rows.iter().map(|r| r.out_features));
    let wrappers = distinct(rows.iter().map(|r| r.network_wrapper.as_str()));
    let columns = outputs.len().min(2);
    let lines = outputs.len().div_ceil(columns);
    let size = (PANEL.0 * columns as u32, PANEL.1 * lines as u32 + TITLE);
    let root = SVGBackend::with_string(text, size).into_drawing_area();
    root.fill(&WHITE)?;
    let panels = root.titled(title, ("sans-serif", 18))?.split_evenly((lines, columns));
    let (x, y) = (range(rows.iter().map(|r| r.in_features as f64)), range(rows.iter().map(|r| r.median)));
    for (panel, m) in panels.iter().zip(outputs) {
        let mut chart = ChartBuilder::on(panel)
            .caption(count(m, "output"), ("sans-serif", 16))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(70)
            .build_cartesian_2d(x.clone().log_scale().base(2.0), y.clone().log_scale())?;
        chart
            .configure_mesh()
            .x_max_light_lines(0)
            .x_desc("number of inputs")
            .y_desc("median time")
            .x_label_formatter(&|d| format!("{d}"))
            .y_label_formatter(&|t| short(*t, "s"))
            .draw()?;
        for (wrapper, colour) in wrappers.iter().zip(COLOURS.iter().cycle()) {
            let row = |r: &&Row| r.out_features == m && r.network_wrapper == *wrapper;
            let mut points: Vec<_> = rows.iter().filter(row).map(|r| (r.in_features as f64, r.median)).collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            let line = LineSeries::new(points, colour.stroke_width(2)).point_size(3);
            let key = |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2));
            chart.draw_series(line)?.label(*wrapper).legend(key);
        }
        let position = SeriesLabelPosition::UpperLeft;
        chart
            .configure_series_labels()
            .position(position)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK)
            .draw()?;
    }
    root.present()?;
    Ok(())
}

/// The items without repetition, in order.
fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    items.fold(Vec::new(), |mut seen, item| {
        if !seen.contains(&item) {
            seen.push(item);
        }
        seen
    })
}

/// From below the least to above the largest, also where there is but one.
fn range(numbers: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) = numbers.fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), n| (low.min(n), high.max(n)));
    low / 1.2..high * 1.2
}
