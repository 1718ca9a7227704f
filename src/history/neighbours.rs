use super::timeline::firsts;
use crate::model::{ChannelId, MessageTs, SourceId};
use crate::store::{Error, Reader};

/// Time stamps of the messages right before and right after one of a channel, also of those that are gone.
///
/// A channel may have thousands of blocks; of those only the ones are unpacked that can hold either.
pub(super) fn neighbours(
    reader: &Reader,
    source: SourceId,
    channel: &ChannelId,
    ts: MessageTs,
) -> Result<(Option<MessageTs>, Option<MessageTs>), Error> {
    let mut blocks = reader.blocks_beside(source, channel, ts)?;
    // Those that reach over the message come first: most often they hold both.
    blocks.sort_by_key(|(min, max, _)| !(*min..=*max).contains(&ts));
    let (mut before, mut after) = (None, None);
    for (min, max, block) in blocks {
        let may_tell =
            min < ts && before.is_none_or(|before| max > before) || max > ts && after.is_none_or(|after| min < after);
        if !may_tell {
            continue;
        }
        let block = reader.block(block)?;
        for (other, ..) in firsts(&block, channel) {
            if other < ts {
                before = before.max(Some(other));
            } else if other > ts {
                after = Some(after.map_or(other, |after| other.min(after)));
            }
        }
    }
    Ok((before, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{bench, message, writer};
    use crate::store::{Batch, Change, FIRST_SOURCE};

    #[test]
    fn a_message_stands_between_its_neighbours_however_it_was_archived() {
        let bench = bench();
        let mut writer = writer(&bench);
        // A walk goes from the newest back; others come between, and another channel's stand among them.
        let walks: [&[u64]; 4] = [&[30, 31, 40], &[10, 12, 20], &[11, 35], &[50]];
        for seconds in walks {
            let mut records: Vec<_> =
                seconds.iter().map(|second| message("C1", *second, 1, Change::New, "a")).collect();
            records.extend(seconds.iter().map(|second| message("C2", second + 1, 1, Change::New, "b")));
            writer.append(Batch { records, changes: Vec::new() }).unwrap();
        }
        let reader = Reader::open(&bench.layout).unwrap();
        let channel = ChannelId::parse("C1").unwrap();
        let stamp = |second: u64| MessageTs::parse(&format!("{second}.000001")).unwrap();
        let mut all: Vec<u64> = walks.concat();
        all.sort_unstable();
        for second in 0_u64..60 {
            let found = neighbours(&reader, FIRST_SOURCE, &channel, stamp(second)).unwrap();
            let seconds = |ts: Option<MessageTs>| ts.map(|ts| u64::try_from(ts.seconds()).unwrap());
            let before = all.iter().rev().find(|known| **known < second).copied();
            let after = all.iter().find(|known| **known > second).copied();
            assert_eq!((seconds(found.0), seconds(found.1)), (before, after), "{second}");
        }
    }
}
