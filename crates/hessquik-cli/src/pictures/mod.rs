//! Pictures as PNG and SVG.
mod chart;
#[cfg(feature = "train")]
mod convergence;
mod maps;

pub use chart::{Bars, Chart, Line, Panel};
#[cfg(feature = "train")]
pub use convergence::Convergence;
pub use maps::{Colours, Field, Maps, Place};

use crate::failure::Failure;
use crate::output::owner::KEY;
use crate::output::{Draft, Owner};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Once;

/// Pixels of a PNG for each unit of an SVG.
const SCALE: u32 = 2;

/// Colours that people tell apart, whatever their eyes.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 0, 0),
    RGBColor(120, 120, 120),
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
];

/// Panels of one size under a title, three in a row at most.
struct Sheet {
    /// Width and height of a panel.
    panel: (u32, u32),
    /// How many there are.
    count: usize,
}

impl Sheet {
    /// The height of the title.
    const TITLE: u32 = 40;

    /// Columns and rows.
    fn shape(&self) -> (usize, usize) {
        let columns = self.count.clamp(1, 3);
        (columns, self.count.div_ceil(columns).max(1))
    }

    /// Width and height of all.
    fn size(&self) -> (u32, u32) {
        let (columns, rows) = self.shape();
        (self.panel.0 * columns as u32, self.panel.1 * rows as u32 + Self::TITLE)
    }

    /// The panels, from left to right, then down, below the title.
    fn panels<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        title: &str,
        scale: u32,
    ) -> Result<Vec<DrawingArea<DB, Shift>>, Box<dyn Error>>
    where
        DB::ErrorType: 'static,
    {
        let (columns, rows) = self.shape();
        let titled = area.margin(6 * scale, 0, 0, 0).titled(title, ("sans-serif", 17 * scale))?;
        Ok(titled.split_evenly((rows, columns)))
    }
}

/// Something that can be drawn by any backend.
pub trait Picture {
    /// Width and height.
    fn size(&self) -> (u32, u32);

    /// Draws it with all lengths times `scale`.
    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, scale: u32) -> Result<(), Box<dyn Error>>
    where
        DB::ErrorType: 'static;

    /// What is below all else, as pixels, for the same `scale`: an SVG has it as images.
    fn rasters(&self, _scale: u32) -> Result<Vec<Raster>, Box<dyn Error>> {
        Ok(Vec::new())
    }
}

/// Pixels within an SVG.
#[derive(Debug)]
pub struct Raster {
    /// The left upper corner, width and height, in pixels of the picture.
    pub at: [i32; 4],
    /// Columns and rows of numbers, which are stretched to that.
    pub size: (u32, u32),
    /// Row by row, three bytes each.
    pub rgb: Vec<u8>,
}

/// The least and the largest number, apart from one another.
fn extent(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = numbers.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low < high { (low, high) } else { (low - 0.5, low + 0.5) }
}

/// Gives plotters the letters of the pictures. With its feature for bitmaps it has no others, for SVG neither.
pub fn font() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let letters = include_bytes!("sans.ttf");
        let registered = plotters::style::register_font("sans-serif", FontStyle::Normal, letters);
        assert!(registered.is_ok(), "the embedded font is valid");
    });
}

/// A picture that a command was asked for: its place is checked before anything is computed.
#[derive(Debug)]
pub struct Plot {
    path: PathBuf,
    draft: Draft,
    command: String,
}

impl Plot {
    /// For the file at `path`, whose name ends in .svg or .png.
    pub fn create(path: &Path, owner: &Owner) -> Result<Self, Failure> {
        let draft = Draft::create(path, &["svg", "png"], owner)?;
        Ok(Self { path: path.into(), draft, command: owner.command.clone() })
    }

    /// The same, if it was asked for.
    pub fn maybe(path: Option<&Path>, owner: &Owner) -> Result<Option<Self>, Failure> {
        path.map(|path| Self::create(path, owner)).transpose()
    }

    /// Draws the picture; it is in its place when the draft is finished.
    pub fn draw(mut self, picture: &impl Picture) -> Result<Draft, Failure> {
        let is_png = self.path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png"));
        let drawn = if is_png { png(picture, Some(&self.command)) } else { svg(picture, Some(&self.command)) };
        let bytes = drawn.map_err(|e| Failure::file(&self.path, format!("cannot be drawn: {e}")))?;
        self.draft.fill(bytes)?;
        Ok(self.draft)
    }

    /// Draws the picture, if it was asked for, and brings it to its place; whether that is standard output.
    pub fn finish(plot: Option<Self>, picture: &impl Picture) -> Result<bool, Failure> {
        let Some(plot) = plot else { return Ok(false) };
        let draft = plot.draw(picture)?;
        let aside = draft.is_stdout();
        draft.finish()?;
        Ok(aside)
    }
}

/// Writes a picture as PNG and SVG.
#[cfg(feature = "train")]
pub fn write(picture: &impl Picture, png_path: &Path, svg_path: &Path) -> Result<(), Failure> {
    let wrong = |e: Box<dyn Error>| Failure::file(png_path, format!("cannot be drawn: {e}"));
    std::fs::write(png_path, png(picture, None).map_err(wrong)?).map_err(Failure::io(png_path))?;
    std::fs::write(svg_path, svg(picture, None).map_err(wrong)?).map_err(Failure::io(svg_path))
}

fn svg(picture: &impl Picture, command: Option<&str>) -> Result<Vec<u8>, Box<dyn Error>> {
    font();
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, picture.size()).into_drawing_area();
        picture.draw(&area, 1)?;
        area.present()?;
    }
    let start =
        text.find("<svg").and_then(|at| Some(at + text[at..].find('>')? + 1)).ok_or("an SVG without a start")?;
    let mut images = "\n<rect width=\"100%\" height=\"100%\" fill=\"#FFFFFF\"/>".to_string();
    for Raster { at: [x, y, width, height], size, rgb } in picture.rasters(1)? {
        use base64::Engine;
        let bytes = base64::engine::general_purpose::STANDARD.encode(encode(size, &rgb, None)?);
        images += &format!(
            "\n<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\" \
             style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{bytes}\"/>"
        );
    }
    text.insert_str(start, &images);
    if let Some(command) = command {
        let end = text.trim_end().trim_end_matches("</svg>").len();
        text.truncate(end);
        text += &format!("<!-- written by {command} -->\n</svg>\n");
    }
    Ok(text.into_bytes())
}

fn png(picture: &impl Picture, command: Option<&str>) -> Result<Vec<u8>, Box<dyn Error>> {
    font();
    let (width, height) = picture.size();
    let (width, height) = (width * SCALE, height * SCALE);
    let mut pixels = vec![255; 3 * (width * height) as usize];
    for Raster { at, size, rgb } in picture.rasters(SCALE)? {
        let [x, y, w, h] = at.map(|v| v as usize);
        let (columns, rows) = (size.0 as usize, size.1 as usize);
        for (i, j) in (0..h).flat_map(|j| (0..w).map(move |i| (i, j))) {
            let from = 3 * ((j * rows / h) * columns + i * columns / w);
            let to = 3 * ((y + j) * width as usize + x + i);
            pixels[to..to + 3].copy_from_slice(&rgb[from..from + 3]);
        }
    }
    {
        let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
        picture.draw(&area, SCALE)?;
        area.present()?;
    }
    encode((width, height), &pixels, command)
}

/// A PNG file, with who wrote it.
fn encode((width, height): (u32, u32), rgb: &[u8], command: Option<&str>) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    if let Some(command) = command {
        encoder.add_text_chunk(KEY.into(), command.into())?;
    }
    encoder.write_header()?.write_image_data(rgb)?;
    Ok(bytes)
}

/// A number beside an axis of this extent: as many digits as tell neighbours apart.
fn label(v: f64, width: f64) -> String {
    let v = if v.abs() < 1e-9 * width { 0.0 } else { v };
    match width {
        w if !(1e-2..1e4).contains(&w) => format!("{v:.1e}"),
        w => format!("{v:.*}", (1.0 - w.log10().floor()).max(0.0) as usize),
    }
}
