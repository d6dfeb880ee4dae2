//! Time against the number of inputs, on logarithmic axes: a panel for each number of outputs, a line for each wrapper.
use super::table::Row;
use crate::command::{count, short};
use crate::pictures::Picture;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::error::Error;
use std::ops::Range;

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

/// What was measured.
#[derive(Debug)]
pub struct Times<'a> {
    /// Said above it.
    pub title: &'a str,
    /// Of each wrapper, at each number of inputs and outputs.
    pub rows: &'a [Row],
}

impl Times<'_> {
    /// The numbers of outputs, each of which has a panel, and of panels beside and below each other.
    fn panels(&self) -> (Vec<usize>, usize, usize) {
        let outputs = distinct(self.rows.iter().map(|r| r.out_features));
        let columns = outputs.len().min(2);
        let lines = outputs.len().div_ceil(columns);
        (outputs, columns, lines)
    }
}

impl Picture for Times<'_> {
    fn size(&self) -> (u32, u32) {
        let (_, columns, lines) = self.panels();
        (PANEL.0 * columns as u32, PANEL.1 * lines as u32 + TITLE)
    }

    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, scale: u32) -> Result<(), Box<dyn Error>>
    where
        DB::ErrorType: 'static,
    {
        let rows = self.rows;
        let (outputs, columns, lines) = self.panels();
        let wrappers = distinct(rows.iter().map(|r| r.network_wrapper.as_str()));
        let panels = area
            .margin(6 * scale, 0, 0, 0)
            .titled(self.title, ("sans-serif", 18 * scale))?
            .split_evenly((lines, columns));
        let (x, y) = (range(rows.iter().map(|r| r.in_features as f64)), range(rows.iter().map(|r| r.median)));
        for (panel, m) in panels.iter().zip(outputs) {
            let mut chart = ChartBuilder::on(panel)
                .caption(count(m, "output"), ("sans-serif", 16 * scale))
                .margin(12 * scale)
                .x_label_area_size(40 * scale)
                .y_label_area_size(70 * scale)
                .build_cartesian_2d(x.clone().log_scale().base(2.0), y.clone().log_scale())?;
            chart
                .configure_mesh()
                .x_max_light_lines(0)
                .x_desc("number of inputs")
                .y_desc("median time")
                .x_label_formatter(&|d| format!("{d}"))
                .y_label_formatter(&|t| short(*t, "s"))
                .label_style(("sans-serif", 12 * scale))
                .axis_desc_style(("sans-serif", 13 * scale))
                .draw()?;
            for (wrapper, colour) in wrappers.iter().zip(COLOURS.iter().cycle()) {
                let row = |r: &&Row| r.out_features == m && r.network_wrapper == *wrapper;
                let mut points: Vec<_> = rows.iter().filter(row).map(|r| (r.in_features as f64, r.median)).collect();
                points.sort_by(|a, b| a.0.total_cmp(&b.0));
                let line = LineSeries::new(points, colour.stroke_width(2 * scale)).point_size(3 * scale);
                let key =
                    |(x, y)| PathElement::new(vec![(x, y), (x + 18 * scale as i32, y)], colour.stroke_width(2 * scale));
                chart.draw_series(line)?.label(*wrapper).legend(key);
            }
            let position = SeriesLabelPosition::UpperLeft;
            chart
                .configure_series_labels()
                .position(position)
                .label_font(("sans-serif", 12 * scale))
                .legend_area_size(24 * scale)
                .background_style(WHITE.mix(0.8))
                .border_style(BLACK)
                .draw()?;
        }
        Ok(())
    }
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
