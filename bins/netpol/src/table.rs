//! Columns for a terminal.

use std::io::{self, Write};

/// Rows of text in columns as wide as they have to be.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with its headers.
    pub fn new(headers: &[&str]) -> Self {
        Self { rows: vec![headers.iter().map(|&header| header.to_owned()).collect()] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Writes it, each line as `paint` has it.
    pub fn write(
        &self,
        out: &mut impl Write,
        color: bool,
        paint: impl Fn(&str, bool) -> String,
    ) -> io::Result<()> {
        let mut widths: Vec<usize> = Vec::new();
        for row in &self.rows {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in &self.rows {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            writeln!(out, "{}", paint(cells.join("  ").trim_end(), color))?;
        }
        Ok(())
    }
}
