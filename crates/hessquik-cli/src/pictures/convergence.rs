//! Losses against epochs.
use super::{COLOURS, Picture};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::error::Error;

/// Lines over epochs 1, 2, ..., on a logarithmic axis.
#[derive(Clone, Debug)]
pub struct Convergence {
    /// Said above them.
    pub title: String,
    /// Names and losses; where a loss is zero, the line has a gap.
    pub lines: Vec<(String, Vec<f64>)>,
    /// The first epoch of L-BFGS, if there is one.
    pub second_phase: Option<usize>,
}

impl Picture for Convergence {
    fn size(&self) -> (u32, u32) {
        (800, 480)
    }

    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, scale: u32) -> Result<(), Box<dyn Error>>
    where
        DB::ErrorType: 'static,
    {
        let all = || self.lines.iter().flat_map(|(_, v)| v.iter().copied()).filter(|v| *v > 0.0);
        let (low, high) = all().fold((f64::INFINITY, 0.0), |(l, h): (f64, f64), v| (l.min(v), h.max(v)));
        let (low, high) = if low <= high { (low / 1.5, high * 1.5) } else { (0.1, 1.0) };
        let epochs = self.lines.iter().map(|(_, v)| v.len()).max().unwrap_or(0);
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, ("sans-serif", 18 * scale))
            .margin(14 * scale)
            .x_label_area_size(42 * scale)
            .y_label_area_size(66 * scale)
            .build_cartesian_2d(0.0..epochs.max(1) as f64, (low..high).log_scale())?;
        chart
            .configure_mesh()
            .x_max_light_lines(0)
            .x_desc("epoch")
            .y_desc("loss")
            .x_label_formatter(&|v| format!("{v}"))
            .y_label_formatter(&|v| format!("{v:.0e}"))
            .label_style(("sans-serif", 13 * scale))
            .axis_desc_style(("sans-serif", 14 * scale))
            .draw()?;
        if let Some(first) = self.second_phase {
            let at = first as f64 - 0.5;
            let line = PathElement::new(vec![(at, low), (at, high)], RGBColor(150, 150, 150).stroke_width(scale));
            chart.draw_series([line])?;
            // below, where the losses of these epochs seldom are, nor the key above
            let font = ("sans-serif", 13 * scale).into_font().color(&RGBColor(110, 110, 110));
            let font = font.pos(Pos::new(HPos::Right, VPos::Bottom));
            chart.draw_series([Text::new("L-BFGS ", (at, low * 1.05), font)])?;
        }
        for ((name, losses), colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            let style = colour.stroke_width(2 * scale);
            let points = losses.iter().enumerate().filter(|(_, v)| **v > 0.0).map(|(i, v)| ((i + 1) as f64, *v));
            let length = 18 * scale as i32;
            let key = move |(x, y): (i32, i32)| PathElement::new(vec![(x, y), (x + length, y)], style);
            chart.draw_series(LineSeries::new(points, style))?.label(name).legend(key);
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .label_font(("sans-serif", 13 * scale))
            .legend_area_size(24 * scale)
            .margin(10 * scale)
            .background_style(WHITE.mix(0.85))
            .border_style(RGBColor(180, 180, 180))
            .draw()?;
        Ok(())
    }
}
