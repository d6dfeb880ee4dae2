//! What is true, its approximation and their difference, each as a map over a plane.
use super::{Picture, extent};
use ndarray::Array2;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::error::Error;
use std::ops::Range;

/// Colours of a map: steps keep an SVG small, and are finer than eyes tell apart.
const LEVELS: usize = 64;

/// Three maps beside one another.
#[derive(Clone, Debug)]
pub struct Maps {
    /// Said above them.
    pub title: String,
    /// What the two axes are.
    pub axes: [String; 2],
    /// Points (n, 2).
    pub x: Array2<f64>,
    /// Their number along each axis, if they are a grid, the second axis running fastest.
    pub grid: Option<usize>,
    /// What is true at each.
    pub truth: Vec<f64>,
    /// What was found at each.
    pub found: Vec<f64>,
}

/// Blue, white, red: for differences.
fn diverging(t: f64) -> RGBColor {
    let stops = [(33, 76, 145), (116, 162, 207), (247, 247, 247), (226, 130, 99), (158, 27, 44)];
    mix(&stops, t)
}

/// Dark blue to yellow, as even steps look even (the colours of viridis).
fn sequential(t: f64) -> RGBColor {
    let stops =
        [(68, 1, 84), (72, 40, 120), (62, 74, 137), (49, 104, 142), (38, 130, 142), (31, 158, 137), (53, 183, 121)];
    let more = [(109, 205, 89), (180, 222, 44), (253, 231, 37)];
    mix(&[&stops[..], &more].concat(), t)
}

fn mix(stops: &[(u8, u8, u8)], t: f64) -> RGBColor {
    let at = t.clamp(0.0, 1.0) * (stops.len() - 1) as f64;
    let i = (at as usize).min(stops.len() - 2);
    let part = |a: u8, b: u8| (f64::from(a) + (at - i as f64) * (f64::from(b) - f64::from(a))).round() as u8;
    let (a, b) = (stops[i], stops[i + 1]);
    RGBColor(part(a.0, b.0), part(a.1, b.1), part(a.2, b.2))
}

/// One map: its name, values, and colours of a range of them.
struct Map<'a> {
    name: &'a str,
    values: &'a [f64],
    range: Range<f64>,
    colours: fn(f64) -> RGBColor,
}

impl Map<'_> {
    fn level(&self, v: f64) -> usize {
        let t = (v - self.range.start) / (self.range.end - self.range.start);
        ((t * LEVELS as f64) as usize).min(LEVELS - 1)
    }

    fn colour(&self, level: usize) -> RGBColor {
        (self.colours)((level as f64 + 0.5) / LEVELS as f64)
    }
}

impl Picture for Maps {
    fn size(&self) -> (u32, u32) {
        (1230, 400)
    }

    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, scale: u32) -> Result<(), Box<dyn Error>>
    where
        DB::ErrorType: 'static,
    {
        let difference: Vec<f64> = self.found.iter().zip(&self.truth).map(|(f, y)| f - y).collect();
        let (low, high) = extent(self.truth.iter().copied());
        let largest = difference.iter().fold(1e-300, |m: f64, v| m.max(v.abs()));
        let maps = [
            Map { name: "true", values: &self.truth, range: low..high, colours: sequential },
            Map { name: "approximation", values: &self.found, range: low..high, colours: sequential },
            Map { name: "difference", values: &difference, range: -largest..largest, colours: diverging },
        ];
        let titled = area.margin(6 * scale, 0, 0, 0).titled(&self.title, ("sans-serif", 18 * scale))?;
        for (panel, map) in titled.split_evenly((1, 3)).iter().zip(&maps) {
            let (width, _) = panel.dim_in_pixel();
            let (left, right) = panel.split_horizontally(width - 95 * scale);
            self.map(map, &left, scale)?;
            bar(map, &right, scale)?;
        }
        Ok(())
    }
}

impl Maps {
    fn map<DB: DrawingBackend>(
        &self,
        map: &Map,
        area: &DrawingArea<DB, Shift>,
        scale: u32,
    ) -> Result<(), Box<dyn Error>>
    where
        DB::ErrorType: 'static,
    {
        let column = |axis: usize| self.x.column(axis).to_vec();
        let (x, y) = (extent(column(0).into_iter()), extent(column(1).into_iter()));
        let mut chart = ChartBuilder::on(area)
            .caption(map.name, ("sans-serif", 16 * scale))
            .margin(8 * scale)
            .x_label_area_size(38 * scale)
            .y_label_area_size(48 * scale)
            .build_cartesian_2d(x.0..x.1, y.0..y.1)?;
        let font = ("sans-serif", 12 * scale);
        chart
            .configure_mesh()
            .disable_mesh()
            .x_labels(7)
            .y_labels(7)
            .x_desc(&self.axes[0])
            .y_desc(&self.axes[1])
            .label_style(font)
            .axis_desc_style(("sans-serif", 13 * scale))
            .draw()?;
        let Some(side) = self.grid else {
            let radius = if self.x.nrows() > 2000 { 2 } else { 3 } * scale;
            let dot = |i: usize| {
                let colour = map.colour(map.level(map.values[i]));
                Circle::new((self.x[[i, 0]], self.x[[i, 1]]), radius, colour.filled())
            };
            chart.draw_series((0..self.x.nrows()).map(dot))?;
            return Ok(());
        };
        // cells around the points of the grid; neighbours of one colour are one rectangle
        let edge = |(low, high): (f64, f64), i: usize| {
            (low + (high - low) * (i as f64 - 0.5) / (side - 1) as f64).clamp(low, high)
        };
        let mut cells = Vec::new();
        for j in 0..side {
            let level = |i: usize| map.level(map.values[i * side + j]);
            let mut start = 0;
            for i in 1..=side {
                if i == side || level(i) != level(start) {
                    let corners = [(edge(x, start), edge(y, j)), (edge(x, i), edge(y, j + 1))];
                    cells.push(Rectangle::new(corners, map.colour(level(start)).filled()));
                    start = i;
                }
            }
        }
        chart.draw_series(cells)?;
        Ok(())
    }
}

/// The colours and what they mean.
fn bar<DB: DrawingBackend>(map: &Map, area: &DrawingArea<DB, Shift>, scale: u32) -> Result<(), Box<dyn Error>>
where
    DB::ErrorType: 'static,
{
    let mut chart = ChartBuilder::on(area)
        .caption(" ", ("sans-serif", 16 * scale))
        .margin_top(8 * scale)
        .margin_bottom(46 * scale) // the axis of the map ends there
        .margin_left(4 * scale)
        .set_label_area_size(LabelAreaPosition::Right, 70 * scale)
        .build_cartesian_2d(0.0..1.0, map.range.clone())?;
    let width = map.range.end - map.range.start;
    let label = |v: &f64| match width {
        w if !(1e-2..1e4).contains(&w) => format!("{:.1e}", if v.abs() < 1e-9 * w { 0.0 } else { *v }),
        w => format!("{:.*}", (1.0 - w.log10().floor()).max(0.0) as usize, v),
    };
    chart
        .configure_mesh()
        .disable_mesh()
        .disable_x_axis()
        .y_labels(8)
        .y_label_formatter(&label)
        .label_style(("sans-serif", 12 * scale))
        .draw()?;
    let at = |i: usize| map.range.start + width * i as f64 / LEVELS as f64;
    let step = |i| Rectangle::new([(0.0, at(i)), (1.0, at(i + 1))], map.colour(i).filled());
    chart.draw_series((0..LEVELS).map(step))?;
    Ok(())
}
