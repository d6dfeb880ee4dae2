//! Numbers at points of a plane, each kind as a map.
use super::{Picture, Raster, Sheet, extent};
use ndarray::Array2;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use std::error::Error;
use std::ops::Range;

/// Colours of a map: finer than eyes tell apart.
const LEVELS: usize = 64;
/// The size of a map with what surrounds it, of which the map itself is a square, and the width of its bar.
const PANEL: (u32, u32) = (430, 332);
const BAR: u32 = 95;

/// Maps beside one another, three in a row at most.
#[derive(Clone, Debug)]
pub struct Maps {
    /// Said above them.
    pub title: String,
    /// What the two axes are.
    pub axes: [String; 2],
    /// Where the numbers are.
    pub place: Place,
    /// From left to right, then down.
    pub maps: Vec<Field>,
}

/// Numbers with a name.
#[derive(Clone, Debug)]
pub struct Field {
    /// Said above the map.
    pub name: String,
    /// One at each place.
    pub values: Vec<f64>,
    /// What the colours mean.
    pub colours: Colours,
}

/// What the colours of a map mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Colours {
    /// From the least of its numbers to the largest.
    Own,
    /// The same as in the first map.
    #[cfg_attr(not(feature = "train"), allow(dead_code))]
    First,
    /// Differences, whose signs are to be seen.
    #[cfg_attr(not(feature = "train"), allow(dead_code))]
    Signed,
}

/// Where numbers are.
#[derive(Clone, Debug)]
pub enum Place {
    /// On a regular grid with so many points along each axis, the second axis running fastest, between these corners.
    Grid {
        /// Points along each axis.
        side: usize,
        /// The least of each coordinate.
        low: [f64; 2],
        /// The largest of each coordinate.
        high: [f64; 2],
    },
    /// At these points (n, 2).
    #[cfg_attr(not(feature = "train"), allow(dead_code))] // the fits of training have points
    Points(Array2<f64>),
}

impl Place {
    /// The points (n, 2) of a picture: a grid with so many along each axis, or none.
    #[cfg(feature = "train")]
    pub fn of(x: &Array2<f64>, grid: Option<usize>) -> Self {
        let ends = |axis: usize| extent(x.column(axis).iter().copied());
        let (first, second) = (ends(0), ends(1));
        match grid {
            Some(side) => Self::Grid { side, low: [first.0, second.0], high: [first.1, second.1] },
            None => Self::Points(x.clone()),
        }
    }

    /// The extent of an axis, with the halves of cells that stand out.
    fn range(&self, axis: usize) -> Range<f64> {
        let (low, high) = match self {
            Self::Grid { side, low, high } => {
                let half = (high[axis] - low[axis]) / (side.max(&2) - 1) as f64 / 2.0;
                (low[axis] - half, high[axis] + half)
            }
            Self::Points(x) => extent(x.column(axis).iter().copied()),
        };
        low..high
    }
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

/// One map: its name, numbers, and colours of a range of them.
struct Map<'a> {
    name: &'a str,
    values: &'a [f64],
    range: Range<f64>,
    colours: fn(f64) -> RGBColor,
}

impl Map<'_> {
    /// The colour of a number; what is not finite is grey.
    fn colour_of(&self, v: f64) -> RGBColor {
        let t = (v - self.range.start) / (self.range.end - self.range.start);
        if t.is_finite() {
            self.colour(((t * LEVELS as f64) as usize).min(LEVELS - 1))
        } else {
            RGBColor(190, 190, 190)
        }
    }

    fn colour(&self, level: usize) -> RGBColor {
        (self.colours)((level as f64 + 0.5) / LEVELS as f64)
    }
}

type Chart<'a, DB> = ChartContext<'a, DB, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

impl Picture for Maps {
    fn size(&self) -> (u32, u32) {
        self.sheet().size()
    }

    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, scale: u32) -> Result<(), Box<dyn Error>>
    where
        DB::ErrorType: 'static,
    {
        for (panel, map) in self.sheet().panels(area, &self.title, scale)?.iter().zip(self.each()) {
            let (left, right) = panel.split_horizontally((PANEL.0 - BAR) * scale);
            let mut chart = self.frame(map.name, &left, scale)?;
            if let Place::Points(x) = &self.place {
                let radius = if x.nrows() > 2000 { 2 } else { 3 } * scale;
                let dot = |i: usize| Circle::new((x[[i, 0]], x[[i, 1]]), radius, map.colour_of(map.values[i]).filled());
                chart.draw_series((0..x.nrows()).map(dot))?;
            }
            bar(&map, &right, scale)?;
        }
        Ok(())
    }

    fn rasters(&self, scale: u32) -> Result<Vec<Raster>, Box<dyn Error>> {
        let &Place::Grid { side, .. } = &self.place else { return Ok(Vec::new()) };
        // a picture for the place of its frames
        let mut text = String::new();
        let (width, height) = self.size();
        let area = SVGBackend::with_string(&mut text, (width * scale, height * scale)).into_drawing_area();
        let mut rasters = Vec::new();
        for (panel, map) in self.sheet().panels(&area, &self.title, scale)?.iter().zip(self.each()) {
            let (left, _) = panel.split_horizontally((PANEL.0 - BAR) * scale);
            let (x, y) = self.frame(map.name, &left, scale)?.plotting_area().get_pixel_range();
            let at = [x.start, y.start, x.end - x.start, y.end - y.start];
            // from the top down, where the second coordinate is largest
            let places = (0..side).rev().flat_map(|j| (0..side).map(move |i| i * side + j));
            let rgb = places.flat_map(|place| <[u8; 3]>::from(map.colour_of(map.values[place]).rgb())).collect();
            rasters.push(Raster { at, size: (side as u32, side as u32), rgb });
        }
        Ok(rasters)
    }
}

impl Maps {
    fn sheet(&self) -> Sheet {
        Sheet { panel: PANEL, count: self.maps.len() }
    }

    /// Each map with the range of its numbers.
    fn each(&self) -> impl Iterator<Item = Map<'_>> {
        let range = |field: &Field| {
            let (low, high) = extent(field.values.iter().copied().filter(|v| v.is_finite()));
            low..high
        };
        self.maps.iter().map(move |field| {
            let Field { name, values, colours } = field;
            let largest = values.iter().filter(|v| v.is_finite()).fold(1e-300, |m: f64, v| m.max(v.abs()));
            match colours {
                Colours::Own => Map { name, values, range: range(field), colours: sequential },
                Colours::First => Map { name, values, range: range(&self.maps[0]), colours: sequential },
                Colours::Signed => Map { name, values, range: -largest..largest, colours: diverging },
            }
        })
    }

    /// The axes of a map.
    fn frame<'a, DB: DrawingBackend>(
        &self,
        name: &str,
        area: &'a DrawingArea<DB, Shift>,
        scale: u32,
    ) -> Result<Chart<'a, DB>, Box<dyn Error>>
    where
        DB::ErrorType: 'static,
    {
        let mut chart = ChartBuilder::on(area)
            .caption(name, ("sans-serif", 15 * scale))
            .margin(8 * scale)
            .x_label_area_size(38 * scale)
            .y_label_area_size(52 * scale)
            .build_cartesian_2d(self.place.range(0), self.place.range(1))?;
        chart
            .configure_mesh()
            .disable_mesh()
            .x_labels(6)
            .y_labels(6)
            .x_desc(&self.axes[0])
            .y_desc(&self.axes[1])
            .label_style(("sans-serif", 12 * scale))
            .axis_desc_style(("sans-serif", 13 * scale))
            .draw()?;
        Ok(chart)
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
    chart
        .configure_mesh()
        .disable_mesh()
        .disable_x_axis()
        .y_labels(8)
        .y_label_formatter(&|v| super::label(*v, width))
        .label_style(("sans-serif", 12 * scale))
        .draw()?;
    let at = |i: usize| map.range.start + width * i as f64 / LEVELS as f64;
    let step = |i| Rectangle::new([(0.0, at(i)), (1.0, at(i + 1))], map.colour(i).filled());
    chart.draw_series((0..LEVELS).map(step))?;
    Ok(())
}
