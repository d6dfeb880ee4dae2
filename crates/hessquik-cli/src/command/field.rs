//! Results over a grid of points, as pictures: maps over two coordinates, or lines over one.
use crate::args::{Eval, Grid};
use crate::failure::Failure;
use crate::pictures::{Chart, Colours, Field, Line, Maps, Panel, Picture, Place};
use crate::points::Points;
use ndarray::Array2;
use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::prelude::DrawingBackend;
use std::error::Error;

/// Pictures have so many results at most.
const MOST: usize = 12;

/// The points of a grid in `d` inputs.
#[derive(Clone, Debug)]
pub struct Mesh {
    side: usize,
    low: Vec<f64>,
    high: Vec<f64>,
    axes: Vec<usize>,
}

impl Mesh {
    /// The grid that the options describe; `None` if they do not ask for one.
    pub fn of(args: &Grid, d: usize) -> Result<Option<Self>, Failure> {
        let Some(side) = args.grid else {
            // clap does not ask for what it forbids beside --input
            let options = [args.plot.is_some(), !args.low.is_empty(), !args.high.is_empty(), args.axes.is_some()];
            return match ["--plot", "--low", "--high", "--axes"].iter().zip(options).find(|(_, given)| *given) {
                Some((option, _)) => Err(Failure::Usage(format!("{option} needs --grid N, in the place of --input"))),
                None => Ok(None),
            };
        };
        let axes = match &args.axes {
            None => (0..d.min(2)).collect(),
            Some(axes) => axes.clone(),
        };
        if let Some(axis) = axes.iter().find(|axis| **axis >= d) {
            let last = d - 1;
            return Err(Failure::Usage(format!("--axes: the model has inputs 0 to {last}, found {axis}")));
        }
        if axes.len() > 2 || axes.len() == 2 && axes[0] == axes[1] {
            return Err(Failure::Usage(format!("--axes: expected one input or two different ones, found {axes:?}")));
        }
        let ends = |option: &str, numbers: &[f64], usual: f64| match numbers {
            [] => Ok(vec![usual; d]),
            [one] => Ok(vec![*one; d]),
            all if all.len() == d => Ok(all.to_vec()),
            all => {
                let found = all.len();
                Err(Failure::Usage(format!("{option}: expected 1 number or {d}, one for each input, found {found}")))
            }
        };
        let (low, high) = (ends("--low", &args.low, -1.0)?, ends("--high", &args.high, 1.0)?);
        let empty = |i: &usize| low[*i].partial_cmp(&high[*i]) != Some(std::cmp::Ordering::Less);
        if let Some(i) = axes.iter().copied().find(empty) {
            let (low, high) = (low[i], high[i]);
            return Err(Failure::Usage(format!("input {i} goes from {low} to {high}: expected --low below --high")));
        }
        let too_large = || Failure::Usage(format!("a grid of {side} is too large"));
        side.checked_pow(axes.len() as u32).and_then(|n| n.checked_mul(8 * d)).ok_or_else(too_large)?;
        Ok(Some(Self { side, low, high, axes }))
    }

    /// The points (n, d): row by row, inputs that do not vary in the middle of their range.
    pub fn points(&self) -> Array2<f64> {
        let n = self.side.pow(self.axes.len() as u32);
        let at = |i: usize, step: usize| match self.side {
            1 => (self.low[i] + self.high[i]) / 2.0,
            side => self.low[i] + (self.high[i] - self.low[i]) * (step as f64 / (side - 1) as f64),
        };
        Array2::from_shape_fn((n, self.low.len()), |(s, i)| match self.axes[..] {
            [first, second] if i == first && second != i => at(i, s / self.side),
            [.., last] if i == last => at(i, s % self.side),
            _ => (self.low[i] + self.high[i]) / 2.0,
        })
    }

    /// The results as a picture, and what the user should know of it.
    pub fn picture(&self, title: String, mut columns: Vec<(String, Vec<f64>)>) -> (Drawn, Vec<String>) {
        let mut notes = Vec::new();
        if columns.len() > MOST {
            let all = columns.len();
            notes.push(format!("the picture has the first {MOST} of {all} results; --request asks for others"));
            columns.truncate(MOST);
        }
        let name = |i: usize| format!("x{i}");
        let drawn = match self.axes[..] {
            [first, second] => Drawn::Maps(Maps {
                title,
                axes: [name(first), name(second)],
                place: Place::Grid {
                    side: self.side,
                    low: [self.low[first], self.low[second]],
                    high: [self.high[first], self.high[second]],
                },
                maps: columns.into_iter().map(|(name, values)| Field { name, values, colours: Colours::Own }).collect(),
            }),
            _ => {
                let axis = self.axes.first().copied().unwrap_or(0);
                let x: Vec<f64> = self.points().column(axis).to_vec();
                let panel = |(title, values): (String, Vec<f64>)| Panel {
                    axes: [name(axis), title.clone()],
                    name: title,
                    log: [false; 2],
                    lines: vec![Line::new("", x.iter().copied().zip(values).collect())],
                };
                Drawn::Chart(Chart { title, panels: columns.into_iter().map(panel).collect() })
            }
        };
        (drawn, notes)
    }
}

/// The points that the options of `eval` name, and the grid, if they are one.
pub fn points(args: &Eval, d: usize) -> Result<(Points, Option<Mesh>), Failure> {
    let mesh = Mesh::of(&args.grid, d)?;
    let points = match (&mesh, &args.input) {
        (None, Some(input)) => Points::open_as(input, Some(d), args.reading.how())?,
        (Some(mesh), _) => Points::of(&mesh.points())?,
        (None, None) => return Err(Failure::Usage("no points: name a file by --input, or take a --grid".into())),
    };
    Ok((points, mesh))
}

/// Maps or lines.
#[derive(Debug)]
pub enum Drawn {
    /// Over two inputs.
    Maps(Maps),
    /// Over one.
    Chart(Chart),
}

impl Picture for Drawn {
    fn size(&self) -> (u32, u32) {
        match self {
            Self::Maps(maps) => maps.size(),
            Self::Chart(chart) => chart.size(),
        }
    }

    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, scale: u32) -> Result<(), Box<dyn Error>>
    where
        DB::ErrorType: 'static,
    {
        match self {
            Self::Maps(maps) => maps.draw(area, scale),
            Self::Chart(chart) => chart.draw(area, scale),
        }
    }

    fn rasters(&self, scale: u32) -> Result<Vec<crate::pictures::Raster>, Box<dyn Error>> {
        match self {
            Self::Maps(maps) => maps.rasters(scale),
            Self::Chart(_) => Ok(Vec::new()),
        }
    }
}
