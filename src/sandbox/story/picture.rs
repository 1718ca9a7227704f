//! Draws small pictures: a palette, rectangles, lines, block letters, and a PNG encoder.
//!
//! The bytes depend on the arguments alone.

use super::container;

/// A picture of palette indices.
pub(super) struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

/// The colours, by index: paper, ink, grey, and five for data.
const PALETTE: [[u8; 3]; 8] = [
    [0xfb, 0xfa, 0xf6],
    [0x22, 0x2b, 0x33],
    [0xb9, 0xc0, 0xc4],
    [0x1f, 0x6f, 0x8b],
    [0xd9, 0x6c, 0x2c],
    [0x3c, 0x8d, 0x5a],
    [0xb3, 0x35, 0x3f],
    [0xf0, 0xc1, 0x4b],
];

const INK: u8 = 1;
const GREY: u8 = 2;

/// Block letters, five rows of three bits: a row is an octal digit.
const LETTERS: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-./:+%";
const GLYPHS: [u16; 42] = [
    0o75557, 0o26227, 0o71747, 0o71717, 0o55711, 0o74717, 0o74757, 0o71244, 0o75757, 0o75717, 0o25755, 0o65656,
    0o34443, 0o65556, 0o74647, 0o74644, 0o34553, 0o55755, 0o72227, 0o11152, 0o55655, 0o44447, 0o57755, 0o65555,
    0o25552, 0o65644, 0o25563, 0o65655, 0o34216, 0o72222, 0o55557, 0o55552, 0o55775, 0o55255, 0o55222, 0o71247,
    0o00700, 0o00002, 0o11244, 0o02020, 0o02720, 0o51245,
];

impl Picture {
    /// An empty sheet of paper.
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self { width, height, pixels: vec![0; width * height] }
    }

    fn dot(&mut self, x: usize, y: usize, colour: u8) {
        if x < self.width && y < self.height {
            self.pixels[y * self.width + x] = colour;
        }
    }

    /// A filled rectangle; what lies outside is cut off.
    pub(super) fn fill(&mut self, x: usize, y: usize, width: usize, height: usize, colour: u8) {
        for row in y..y + height {
            for column in x..x + width {
                self.dot(column, row, colour);
            }
        }
    }

    /// A straight line, three pixels thick.
    pub(super) fn line(&mut self, from: (usize, usize), to: (usize, usize), colour: u8) {
        let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1)).max(1);
        for step in 0..=steps {
            let x = (from.0 * (steps - step) + to.0 * step) / steps;
            let y = (from.1 * (steps - step) + to.1 * step) / steps;
            self.fill(x.saturating_sub(1), y.saturating_sub(1), 3, 3, colour);
        }
    }

    /// Block capitals; other characters leave a gap.
    pub(super) fn text(&mut self, x: usize, y: usize, scale: usize, text: &str) {
        for (index, letter) in text.chars().enumerate() {
            let Some(place) = LETTERS.find(letter.to_ascii_uppercase()) else {
                continue;
            };
            let glyph = GLYPHS[place];
            for bit in 0..15 {
                if glyph & (0o40000 >> bit) != 0 {
                    let column = x + (index * 4 + bit % 3) * scale;
                    self.fill(column, y + bit / 3 * scale, scale, scale, INK);
                }
            }
        }
    }

    /// The picture as a PNG file: eight bits a pixel, a palette, one data chunk.
    pub(super) fn png(&self) -> Vec<u8> {
        let mut rows = Vec::with_capacity(self.pixels.len() + self.height);
        for row in self.pixels.chunks(self.width) {
            rows.push(0); // Filter type "none".
            rows.extend_from_slice(row);
        }
        let mut header = Vec::new();
        for side in [self.width, self.height] {
            header.extend_from_slice(&u32::try_from(side).unwrap_or(u32::MAX).to_be_bytes());
        }
        header.extend_from_slice(&[8, 3, 0, 0, 0]);
        let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
        chunk(&mut png, *b"IHDR", &header);
        chunk(&mut png, *b"PLTE", PALETTE.as_flattened());
        chunk(&mut png, *b"IDAT", &container::zlib(&rows));
        chunk(&mut png, *b"IEND", &[]);
        png
    }
}

fn chunk(png: &mut Vec<u8>, name: [u8; 4], data: &[u8]) {
    png.extend_from_slice(&u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
    let start = png.len();
    png.extend_from_slice(&name);
    png.extend_from_slice(data);
    let check = container::crc32(&png[start..]);
    png.extend_from_slice(&check.to_be_bytes());
}

/// A chart of bars under a title. Values are drawn against the greatest of them.
pub(super) fn bars(title: &str, colour: u8, values: &[(&str, usize)]) -> Vec<u8> {
    let mut picture = Picture::new(640, 360);
    picture.text(24, 16, 4, title);
    picture.fill(40, 320, 576, 2, INK);
    let greatest = values.iter().map(|value| value.1).max().unwrap_or(1).max(1);
    for quarter in 1..=4 {
        picture.fill(40, 320 - quarter * 60, 576, 1, GREY);
        picture.text(4, 316 - quarter * 60, 2, &(greatest * quarter / 4).to_string());
    }
    let pitch = 576 / values.len().max(1);
    for (index, (name, value)) in values.iter().enumerate() {
        let height = value * 240 / greatest;
        let left = 48 + index * pitch;
        picture.fill(left, 320 - height, pitch.saturating_sub(14), height, colour);
        picture.text(left, 330, 2, name);
    }
    picture.png()
}

/// A chart of one or more curves under a title, all against the greatest value.
pub(super) fn curves(title: &str, series: &[&[usize]]) -> Vec<u8> {
    let mut picture = Picture::new(640, 360);
    picture.text(24, 16, 4, title);
    picture.fill(40, 320, 576, 2, INK);
    let greatest = series.iter().flat_map(|values| values.iter()).copied().max().unwrap_or(1).max(1);
    for quarter in 1..=4 {
        picture.fill(40, 320 - quarter * 60, 576, 1, GREY);
        picture.text(4, 316 - quarter * 60, 2, &(greatest * quarter / 4).to_string());
    }
    for (values, colour) in series.iter().zip(3..) {
        let pitch = 560 / values.len().saturating_sub(1).max(1);
        let point = |index: usize| (48 + index * pitch, 320 - values[index] * 240 / greatest);
        for index in 1..values.len() {
            picture.line(point(index - 1), point(index), colour);
        }
    }
    picture.png()
}

/// A bar for each task of a plan: name, first week, weeks, colour.
pub(super) fn plan(title: &str, tasks: &[(&str, usize, usize, u8)]) -> Vec<u8> {
    let mut picture = Picture::new(720, 80 + tasks.len() * 34);
    picture.text(24, 16, 4, title);
    for week in (0..=32).step_by(4) {
        picture.fill(200 + week * 15, 52, 1, tasks.len() * 34, GREY);
        picture.text(196 + week * 15, 60 + tasks.len() * 34, 2, &(week + 1).to_string());
    }
    for (index, &(name, start, weeks, colour)) in tasks.iter().enumerate() {
        let top = 60 + index * 34;
        picture.text(24, top + 4, 3, name);
        picture.fill(200 + start * 15, top, weeks * 15, 22, colour);
    }
    picture.png()
}

/// A crane before a low sun: the picture somebody takes with a telephone.
pub(super) fn crane_at_dusk() -> Vec<u8> {
    let mut picture = Picture::new(480, 320);
    picture.fill(0, 0, 480, 220, 7);
    picture.fill(0, 150, 480, 70, 4);
    for row in 0..80_usize {
        let half = (80 * 80 - row * row).isqrt();
        picture.fill(330 - half, 220 - row, half * 2, 1, 6);
    }
    picture.fill(0, 220, 480, 100, 3);
    for wave in 0..40 {
        picture.fill(wave * 53 % 470, 226 + wave * 37 % 90, 18, 2, GREY);
    }
    for leg in [90, 150] {
        picture.line((leg, 300), (leg, 90), INK);
    }
    picture.line((90, 200), (150, 140), INK);
    picture.line((90, 140), (150, 200), INK);
    picture.line((40, 92), (400, 92), INK);
    picture.line((120, 92), (120, 30), INK);
    picture.line((120, 30), (390, 92), INK);
    picture.line((120, 30), (50, 92), INK);
    picture.line((300, 92), (300, 190), INK);
    picture.fill(276, 190, 48, 20, 5);
    picture.png()
}
