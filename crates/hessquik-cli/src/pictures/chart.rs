//! Panels with lines, or with bars, on plain or logarithmic axes.
use super::{COLOURS, Picture, Sheet};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::error::Error;

/// The size of a panel.
const PANEL: (u32, u32) = (460, 360);

/// Panels side by side, three in a row at most.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Said above them.
    pub title: String,
    /// From left to right, then down.
    pub panels: Vec<Panel>,
}

/// One panel.
#[derive(Clone, Debug)]
pub struct Panel {
    /// Said above it.
    pub name: String,
    /// What the two axes are.
    pub axes: [String; 2],
    /// Whether they are logarithmic; what is not positive is then left out.
    pub log: [bool; 2],
    /// What is drawn.
    pub lines: Vec<Line>,
}

/// A line, or points.
#[derive(Clone, Debug)]
pub struct Line {
    /// Said in the key; without one, it is not there.
    pub name: String,
    /// From left to right.
    pub points: Vec<(f64, f64)>,
    /// Whether the points are marked.
    pub marked: bool,
    /// Whether it is there to compare others with: thin and grey.
    pub thin: bool,
}

impl Line {
    /// A line through these points.
    pub fn new(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), points, marked: false, thin: false }
    }
}

impl Picture for Chart {
    fn size(&self) -> (u32, u32) {
        self.sheet().size()
    }

    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, scale: u32) -> Result<(), Box<dyn Error>>
    where
        DB::ErrorType: 'static,
    {
        let areas = self.sheet().panels(area, &self.title, scale)?;
        areas.iter().zip(&self.panels).try_for_each(|(area, panel)| panel.draw(area, scale))
    }
}

impl Chart {
    fn sheet(&self) -> Sheet {
        Sheet { panel: PANEL, count: self.panels.len() }
    }
}

impl Panel {
    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, scale: u32) -> Result<(), Box<dyn Error>>
    where
        DB::ErrorType: 'static,
    {
        // a logarithmic axis is a plain one of the logarithms, whose labels say the numbers
        let place = |&(x, y): &(f64, f64)| {
            let each = [x, y].map(f64::log10);
            let place = [if self.log[0] { each[0] } else { x }, if self.log[1] { each[1] } else { y }];
            place.iter().all(|v| v.is_finite()).then_some((place[0], place[1]))
        };
        let lines: Vec<Vec<_>> = self.lines.iter().map(|l| l.points.iter().filter_map(place).collect()).collect();
        let extent = |axis: fn(&(f64, f64)) -> f64| {
            let all = lines.iter().flatten().map(axis);
            let (low, high) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
            match low <= high {
                true => {
                    let room = (0.04 * (high - low)).max(1e-9 * high.abs().max(1.0));
                    (low - room)..(high + room)
                }
                false => 0.0..1.0,
            }
        };
        let (x, y) = (extent(|p| p.0), extent(|p| p.1));
        let labels = |log: bool, range: &std::ops::Range<f64>| {
            let width = range.end - range.start;
            move |v: &f64| match log {
                true => format!("{:.0e}", 10f64.powf(*v)),
                false => super::label(*v, width),
            }
        };
        let (x_label, y_label) = (labels(self.log[0], &x), labels(self.log[1], &y));
        let mut chart = ChartBuilder::on(area)
            .caption(&self.name, ("sans-serif", 14 * scale))
            .margin(12 * scale)
            .x_label_area_size(40 * scale)
            .y_label_area_size(64 * scale)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .max_light_lines(0)
            .x_labels(6)
            .y_labels(8)
            .x_desc(&self.axes[0])
            .y_desc(&self.axes[1])
            .x_label_formatter(&x_label)
            .y_label_formatter(&y_label)
            .label_style(("sans-serif", 11 * scale))
            .axis_desc_style(("sans-serif", 12 * scale))
            .draw()?;
        let mut named = false;
        let grey = RGBColor(150, 150, 150);
        let mut colours = COLOURS.iter().cycle();
        for (line, points) in self.lines.iter().zip(lines) {
            let style = match line.thin {
                true => grey.stroke_width(scale),
                false => colours.next().expect("colours come again and again").stroke_width(2 * scale),
            };
            let series = LineSeries::new(points, style.filled()).point_size(if line.marked { 3 * scale } else { 0 });
            let drawn = chart.draw_series(series)?;
            if !line.name.is_empty() {
                let length = 18 * scale as i32;
                drawn.label(&line.name).legend(move |(x, y)| PathElement::new(vec![(x, y), (x + length, y)], style));
                named = true;
            }
        }
        if named {
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::LowerRight)
                .label_font(("sans-serif", 11 * scale))
                .legend_area_size(24 * scale)
                .margin(8 * scale)
                .background_style(WHITE.mix(0.85))
                .border_style(RGBColor(180, 180, 180))
                .draw()?;
        }
        Ok(())
    }
}

/// Costs as bars, one below another, the first of them the chosen one.
#[derive(Clone, Debug)]
pub struct Bars {
    /// Said above them.
    pub title: String,
    /// What the lengths are.
    pub axis: String,
    /// Names and lengths.
    pub bars: Vec<(String, f64)>,
}

impl Bars {
    /// Room for the longest name.
    fn names(&self) -> u32 {
        20 + self.bars.iter().map(|(name, _)| 7 * name.chars().count() as u32).max().unwrap_or(0)
    }
}

impl Picture for Bars {
    fn size(&self) -> (u32, u32) {
        (560 + self.names(), 90 + 26 * self.bars.len().max(1) as u32)
    }

    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, scale: u32) -> Result<(), Box<dyn Error>>
    where
        DB::ErrorType: 'static,
    {
        let longest = self.bars.iter().fold(0.0, |longest: f64, (_, v)| longest.max(*v));
        let longest = if longest > 0.0 { 1.05 * longest } else { 1.0 };
        let count = self.bars.len().max(1) as f64;
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, ("sans-serif", 16 * scale))
            .margin(10 * scale)
            .x_label_area_size(36 * scale)
            .margin_left(self.names() * scale)
            .build_cartesian_2d(0.0..longest, count..0.0)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .max_light_lines(0)
            .x_desc(&self.axis)
            .x_labels(7)
            .x_label_formatter(&|v| super::label(*v, longest))
            .label_style(("sans-serif", 11 * scale))
            .axis_desc_style(("sans-serif", 12 * scale))
            .draw()?;
        let place = |i: usize, length: f64| (length, i as f64 + 0.5);
        for (i, (name, length)) in self.bars.iter().enumerate() {
            let colour = if i == 0 { COLOURS[2] } else { COLOURS[1] };
            let corners = [(0.0, i as f64 + 0.15), (*length, i as f64 + 0.85)];
            chart.draw_series([Rectangle::new(corners, colour.filled())])?;
            let (x, y) = chart.backend_coord(&place(i, 0.0));
            let font = ("sans-serif", 12 * scale).into_font().color(&BLACK);
            let style = font.pos(Pos::new(HPos::Right, VPos::Center));
            let (left, top) = area.get_base_pixel();
            area.draw(&Text::new(name.as_str(), (x - left - 8 * scale as i32, y - top), style))?;
        }
        Ok(())
    }
}
