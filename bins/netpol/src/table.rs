//! Columns for a terminal.

use std::io::{self, Write};

/// Spaces between columns.
const GAP: usize = 2;

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

    /// Leaves out columns, in the order given, until a line fits; the others stay even if it never does. Gives the headers of
    /// what was left out, in the order in which they went.
    pub fn fit<'a>(&mut self, width: usize, spare: &[&'a str]) -> Vec<&'a str> {
        let mut gone = Vec::new();
        for header in spare {
            if self.line() <= width {
                break;
            }
            let Some(column) = self.rows[0].iter().position(|name| name == header) else { continue };
            for row in &mut self.rows {
                row.remove(column);
            }
            gone.push(*header);
        }
        gone
    }

    /// Characters of the longest line.
    fn line(&self) -> usize {
        let widths = self.widths();
        widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = Vec::new();
        for row in &self.rows {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths
    }

    /// Writes it, each line as `paint` has it.
    pub fn write(
        &self,
        out: &mut impl Write,
        color: bool,
        paint: impl Fn(&str, bool) -> String,
    ) -> io::Result<()> {
        let widths = self.widths();
        for row in &self.rows {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            writeln!(out, "{}", paint(cells.join(&" ".repeat(GAP)).trim_end(), color))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["NAME", "STATE", "NEXT"]);
        table.row(["loader", "ok", "2026-11-24 02:50Z"].map(str::to_owned).to_vec());
        table
    }

    fn written(table: &Table) -> String {
        let mut out = Vec::new();
        table.write(&mut out, false, |line, _| line.to_owned()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_that_fits_keeps_every_column() {
        let mut table = table();
        assert_eq!(table.fit(6 + 2 + 5 + 2 + 17, &["NEXT", "STATE"]), [""; 0]);
        assert!(written(&table).starts_with("NAME    STATE  NEXT"));
    }

    #[test]
    fn columns_go_in_the_order_given_and_no_more_than_needed() {
        let mut table = table();
        assert_eq!(table.fit(31, &["NEXT", "STATE"]), ["NEXT"]);
        assert_eq!(written(&table), "NAME    STATE\nloader  ok\n");
    }

    #[test]
    fn what_must_stay_stays_however_narrow_it_is() {
        let mut table = table();
        assert_eq!(table.fit(3, &["NEXT", "STATE"]), ["NEXT", "STATE"]);
        assert_eq!(written(&table), "NAME\nloader\n");
    }
}
