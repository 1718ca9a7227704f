//! A copy of a picture for a page: upright, of a size that a page has room for, and nothing but pixels. What the
//! file says of itself — where it was taken, by whom, what an editor left in it — stays in the file.
//!
//! This runs in the process that serves, since nothing of it is kept: the decoders are safe Rust, and what they
//! may take is limited before they begin. Whoever calls lets one picture be made at a time.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder as _, ImageError, ImageFormat, ImageReader};

/// Pixels of a picture that is shown: a camera of today makes so many.
const PIXELS: u64 = 40_000_000;
/// Bytes that a decoder may allocate.
const DECODED_BYTES: u64 = 200 << 20;
/// A PNG that is larger than this and not transparent becomes a JPEG.
const LARGE_PNG: usize = 256 << 10;
/// How well a JPEG is to look.
const QUALITY: u8 = 85;

/// A copy for a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// PNG or JPEG.
    pub bytes: Vec<u8>,
    /// Its media type.
    pub kind: &'static str,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

/// Why there is no copy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unshown {
    /// No picture of a kind that is shown.
    #[error("it is no PNG, JPEG, GIF or WebP")]
    Unsupported,
    /// It would take too much to open.
    #[error("it has too many pixels: {0}")]
    TooBig(String),
    /// It does not open.
    #[error("it does not open: {0}")]
    Damaged(String),
}

/// A copy of a picture with no side longer than `side` pixels. Of a moving one, its first frame.
pub fn preview(bytes: &[u8], side: u32) -> Result<Preview, Unshown> {
    let format = image::guess_format(bytes).map_err(|_| Unshown::Unsupported)?;
    if !matches!(format, ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::Gif | ImageFormat::WebP) {
        return Err(Unshown::Unsupported);
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(DECODED_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| unshown(&error))?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(Unshown::Damaged("it has no pixels".to_owned()));
    }
    // Before a byte of it is decoded, and from what the decoder will really make.
    if u64::from(width) * u64::from(height) > PIXELS || decoder.total_bytes() > DECODED_BYTES {
        return Err(Unshown::TooBig(format!("{width} by {height}")));
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| unshown(&error))?;
    if width > side || height > side {
        picture = picture.thumbnail(side, side);
    }
    picture.apply_orientation(orientation);
    written(&picture).map_err(|error| unshown(&error))
}

fn unshown(error: &ImageError) -> Unshown {
    match error {
        ImageError::Limits(_) => Unshown::TooBig(error.to_string()),
        ImageError::Unsupported(_) => Unshown::Unsupported,
        _ => Unshown::Damaged(error.to_string()),
    }
}

/// The pixels alone: the encoders write nothing that a picture says of itself.
fn written(picture: &DynamicImage) -> Result<Preview, ImageError> {
    let (width, height) = (picture.width(), picture.height());
    let is_clear = picture.color().has_alpha();
    let plain = if is_clear { DynamicImage::from(picture.to_rgba8()) } else { DynamicImage::from(picture.to_rgb8()) };
    let mut png = Vec::new();
    plain.write_to(&mut Cursor::new(&mut png), ImageFormat::Png)?;
    if is_clear || png.len() <= LARGE_PNG {
        return Ok(Preview { bytes: png, kind: "image/png", width, height });
    }
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode_image(&plain)?;
    Ok(Preview { bytes: jpeg, kind: "image/jpeg", width, height })
}

#[cfg(test)]
mod tests {
    use image::{GenericImageView as _, Rgb, RgbImage};
    use proptest::prelude::*;

    use super::*;

    fn written_as(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Vec::new();
        picture.write_to(&mut Cursor::new(&mut bytes), format).expect("the format holds RGB");
        bytes
    }

    fn noise(width: u32, height: u32) -> DynamicImage {
        RgbImage::from_fn(width, height, |x, y| {
            let [red, green, blue, _] = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)).to_be_bytes();
            Rgb([red, green, blue])
        })
        .into()
    }

    #[test]
    fn a_copy_has_the_pixels_and_nothing_else() {
        // A JPEG that says it is to be turned (EXIF, orientation 6), and a PNG with a comment.
        let jpeg = written_as(&noise(80, 40), ImageFormat::Jpeg);
        let exif = b"\xff\xe1\0\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let turned = [&jpeg[..2], exif, &jpeg[2..]].concat();
        let copy = preview(&turned, 100).expect("it is whole");
        assert_eq!((copy.width, copy.height, copy.kind), (40, 80, "image/png"));
        assert!(!copy.bytes.windows(4).any(|window| window == b"Exif"));
        let read = image::load_from_memory(&copy.bytes).expect("it was just written");
        assert_eq!(read.dimensions(), (40, 80));

        let png = written_as(&noise(8, 8), ImageFormat::Png);
        let mut sum = flate2::Crc::new();
        sum.update(b"tEXtWho\0secret");
        let comment = [&[0, 0, 0, 10][..], b"tEXtWho\0secret", &sum.sum().to_be_bytes()].concat();
        let told = [&png[..33], &comment, &png[33..]].concat();
        let copy = preview(&told, 100).expect("it is whole");
        assert!(told.windows(6).any(|window| window == b"secret"));
        assert!(!copy.bytes.windows(6).any(|window| window == b"secret"));
    }

    #[test]
    fn each_kind_that_is_shown_is_made_smaller_and_no_other_is_shown() {
        let picture = noise(3_000, 1_500);
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP] {
            let copy = preview(&written_as(&picture, format), 600).expect("it is whole");
            assert_eq!((copy.width, copy.height), (600, 300), "{format:?}");
            assert!(copy.bytes.len() < 600 * 300 * 3, "{format:?}: {} bytes", copy.bytes.len());
        }
        for format in [ImageFormat::Bmp, ImageFormat::Tiff] {
            assert_eq!(preview(&written_as(&noise(9, 9), format), 600), Err(Unshown::Unsupported), "{format:?}");
        }
        assert_eq!(preview(b"<svg xmlns='http://www.w3.org/2000/svg'/>", 600), Err(Unshown::Unsupported));
        assert_eq!(preview(b"", 600), Err(Unshown::Unsupported));
    }

    #[test]
    fn a_picture_of_too_many_pixels_is_not_opened() {
        // A GIF whose head speaks of four thousand million pixels.
        let mut film = written_as(&noise(4, 4), ImageFormat::Gif);
        film[6..10].copy_from_slice(&[0xff; 4]);
        assert!(matches!(preview(&film, 600), Err(Unshown::TooBig(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_damage_gets_past(which in 0_usize..4, cut in 0_usize..4_000, flips in proptest::collection::vec((0_usize..4_000, any::<u8>()), 0..12)) {
            let format = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP][which];
            let mut bytes = written_as(&noise(40, 20), format);
            let length = bytes.len();
            for (place, value) in flips {
                bytes[place % length] = value;
            }
            bytes.truncate(cut.min(length));
            if let Ok(copy) = preview(&bytes, 30) {
                prop_assert!(copy.width <= 30 && copy.height <= 30);
            }
        }
    }
}
