//! Thumbnails: at most 320 by 320 pixels and 64 KiB, upright, made in the child.

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat};

/// The longer side.
const SIDE: u32 = 320;
const BYTES: usize = 64 << 10;
/// How well JPEG is to look, in the order they are tried; noise alone needs the last.
const QUALITIES: [u8; 3] = [80, 60, 30];

/// A small copy of a picture that stands upright already: PNG when it is transparent or small that way, else JPEG.
pub(super) fn of(picture: &DynamicImage) -> Option<Vec<u8>> {
    if picture.width() == 0 || picture.height() == 0 {
        return None;
    }
    let is_large = picture.width() > SIDE || picture.height() > SIDE;
    // A thumbnail is never larger than its picture.
    let small = if is_large { picture.thumbnail(SIDE, SIDE) } else { picture.clone() };
    let mut png = Vec::new();
    let plain = if small.color().has_alpha() {
        DynamicImage::from(small.to_rgba8())
    } else {
        DynamicImage::from(small.to_rgb8())
    };
    plain.write_to(&mut std::io::Cursor::new(&mut png), ImageFormat::Png).ok()?;
    if png.len() <= BYTES / 2 || plain.color().has_alpha() && png.len() <= BYTES {
        return Some(png);
    }
    QUALITIES.into_iter().find_map(|quality| {
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, quality).encode_image(&plain.to_rgb8()).ok()?;
        (jpeg.len() <= BYTES).then_some(jpeg)
    })
}

#[cfg(test)]
mod tests {
    use image::{GenericImageView as _, Rgba, RgbaImage};

    use super::*;

    #[test]
    fn a_thumbnail_is_small_and_keeps_its_shape() {
        let noise = |x: u32, y: u32| {
            (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)).wrapping_mul(0x9e37_79b1).to_be_bytes()
        };
        for (width, height, alpha, expected) in [
            (2_000, 1_000, 255, (320, 160)),
            (300, 1_500, 255, (64, 320)),
            (50, 20, 255, (50, 20)),
            (900, 900, 9, (320, 320)),
            (1, 5_000, 255, (1, 320)),
        ] {
            let picture = RgbaImage::from_fn(width, height, |x, y| {
                let [red, green, blue, _] = noise(x, y);
                Rgba([red, green, blue, alpha])
            });
            let picture = DynamicImage::from(picture);
            let picture = if alpha == 255 { DynamicImage::from(picture.to_rgb8()) } else { picture };
            let small = of(&picture).expect("it has pixels");
            assert!(small.len() <= BYTES, "{width} by {height}: {} bytes", small.len());
            let read = image::load_from_memory(&small).expect("it was just written");
            assert_eq!(read.dimensions(), expected, "{width} by {height}");
        }
        assert_eq!(of(&DynamicImage::new_rgb8(0, 0)), None);
    }

    #[test]
    fn what_is_transparent_stays_so() {
        let small = of(&DynamicImage::new_rgba8(40, 40)).expect("it has pixels");
        assert!(image::load_from_memory(&small).expect("it was just written").color().has_alpha());
    }
}
