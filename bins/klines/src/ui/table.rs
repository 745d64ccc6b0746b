//! Plain tables: a header, aligned columns, no frames.

/// How a column is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// Renders rows under a header; columns are two blanks apart, the last one is not padded.
pub fn render(header: &[(&str, Align)], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([header[column].0.chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..header.len()).map(width).collect();
    let titles: Vec<_> = header.iter().map(|(title, _)| (*title).to_owned()).collect();
    let mut out = String::new();
    for row in std::iter::once(&titles).chain(rows) {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
            let gap = if column == 0 { "" } else { "  " };
            match header[column].1 {
                Align::Left => line.push_str(&format!("{gap}{cell}{pad}")),
                Align::Right => line.push_str(&format!("{gap}{pad}{cell}")),
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// A column that may be left out where the terminal is narrow.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Title.
    pub title: &'static str,
    /// How it is aligned.
    pub align: Align,
    /// Which go first: the highest; 0 never goes.
    pub rank: u8,
}

/// Renders as many columns as fit into `width`, and the least wanted not at all. Nothing is ever cut.
pub fn fit(columns: &[Column], rows: &[Vec<String>], width: usize) -> String {
    let mut kept: Vec<usize> = (0..columns.len()).collect();
    loop {
        let header: Vec<_> = kept.iter().map(|i| (columns[*i].title, columns[*i].align)).collect();
        let cells = |row: &Vec<String>| kept.iter().filter_map(|i| row.get(*i).cloned()).collect::<Vec<_>>();
        let text = render(&header, &rows.iter().map(cells).collect::<Vec<_>>());
        let least = kept.iter().copied().filter(|i| columns[*i].rank > 0).max_by_key(|i| columns[*i].rank);
        match least {
            Some(least) if widest(&text) > width => kept.retain(|i| *i != least),
            _ => return text,
        }
    }
}

/// Columns of the longest line.
pub fn widest(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_wanted_columns_go_first_and_nothing_is_cut() {
        let column = |title, rank| Column { title, align: Align::Right, rank };
        let columns = [column("name", 0), column("much", 1), column("more", 2)];
        let rows = vec![vec!["a".into(), "1,234,567".into(), "7".into()]];
        assert_eq!(fit(&columns, &rows, 80), "name       much  more\n   a  1,234,567     7\n");
        assert_eq!(fit(&columns, &rows, 20), "name       much\n   a  1,234,567\n");
        assert_eq!(fit(&columns, &rows, 14), "name\n   a\n");
        assert_eq!(fit(&columns, &rows, 1), "name\n   a\n");
    }

    #[test]
    fn columns_line_up() {
        let rows = vec![vec!["a".into(), "1".into()], vec!["long".into(), "100".into()]];
        assert_eq!(
            render(&[("name", Align::Left), ("n", Align::Right)], &rows),
            "name    n\na       1\nlong  100\n"
        );
    }
}
