//! A room on this instance: who is in it, and in which order they are told what.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use chassis::socket::{Ending, Frame, Refused};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    line::{Ear, Message},
    metrics,
    model::RoomName,
};

/// Comments that a room remembers for those who come back.
pub(crate) const REMEMBERED: usize = 256;
/// Comments that wait for those before them; the store has them all.
const WAITING: usize = 1024;
/// What a member is told who has too much waiting.
const TOO_SLOW: Ending = Ending::new(1013, "You read too slowly: connect again");
const DELETED: Ending = Ending::new(1000, "The post was deleted");

/// How a room tells a socket to end.
#[derive(Debug, Default)]
pub(crate) struct Cut {
    token: CancellationToken,
    why: OnceLock<Ending>,
}

impl Cut {
    /// Ends the socket; the first reason counts.
    pub(crate) fn end(&self, why: Ending) {
        let _ = self.why.set(why);
        self.token.cancel();
    }

    /// Waits until the socket has to end.
    pub(crate) async fn ended(&self) -> Ending {
        self.token.cancelled().await;
        self.why.get().copied().unwrap_or(TOO_SLOW)
    }
}

/// A socket, as a room sees it.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// Another one for each socket.
    pub(crate) id: u64,
    pub(crate) user_id: Option<i64>,
    /// What waits there is bounded, so that a slow reader costs no memory.
    pub(crate) ear: Arc<dyn Ear>,
    pub(crate) cut: Arc<Cut>,
}

impl Member {
    /// Says something to a member; who has too much waiting is told to go.
    fn tell(&self, message: &Message) -> bool {
        let heard = self.ear.hear(message);
        if heard == Err(Refused::Full) {
            self.cut.end(TOO_SLOW);
        }
        heard.is_ok()
    }
}

/// A room.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) name: RoomName,
    /// The post, where what is said has places in an order.
    pub(crate) post_id: Option<String>,
    /// Something may have been missed.
    pub(crate) missed: Notify,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The last place that members were told of.
    last: u64,
    /// When that was, or when the store was looked at and had no more.
    current_at: Instant,
    /// The place after which every comment is remembered.
    since: u64,
    /// How often something was changed that may be remembered.
    changes: u64,
    /// With the last place that each had before.
    members: HashMap<u64, (Member, u64)>,
    recent: VecDeque<(u64, Arc<Message>)>,
    /// Comments whose predecessors are missing.
    waiting: BTreeMap<u64, Frame>,
    /// Whether somebody else has to be told who is here.
    changed: bool,
}

impl Room {
    /// A room whose members are told what is said, as it comes.
    pub(crate) fn new(name: RoomName) -> Self {
        Self::numbered(name, None, 0)
    }

    /// A room of comments, which are told in their order, from after `last` on.
    pub(crate) fn of_post(name: RoomName, post_id: String, last: u64) -> Self {
        Self::numbered(name, Some(post_id), last)
    }

    fn numbered(name: RoomName, post_id: Option<String>, last: u64) -> Self {
        Self {
            name,
            post_id,
            missed: Notify::new(),
            state: Mutex::new(State {
                last,
                current_at: Instant::now(),
                since: last,
                changes: 0,
                members: HashMap::new(),
                recent: VecDeque::new(),
                waiting: BTreeMap::new(),
                changed: false,
            }),
        }
    }

    /// Lets somebody in who has all up to the place `after`; with none, from now on. `Err` with
    /// the place when what is missing is not remembered here.
    pub(crate) fn join(&self, member: &Member, after: Option<u64>) -> Result<(), u64> {
        let mut state = self.state();
        let after = after.unwrap_or(state.last);
        if after < state.since {
            return Err(after);
        }
        for (_, message) in state.recent.iter().filter(|(number, _)| *number > after) {
            member.tell(message);
        }
        state.members.insert(member.id, (member.clone(), after));
        state.changed = true;
        Ok(())
    }

    /// Lets somebody out.
    pub(crate) fn leave(&self, id: u64) {
        let mut state = self.state();
        if state.members.remove(&id).is_some() {
            state.changed = true;
        }
    }

    /// Tells everybody.
    pub(crate) fn tell(&self, frame: &Frame) {
        self.state().deliver(None, &Message::new(frame.clone()));
    }

    /// Takes in a comment: told at once when it is next, kept when others come before.
    pub(crate) fn offer(&self, number: u64, frame: Frame) {
        let mut state = self.state();
        if number <= state.last {
            return;
        }
        if state.waiting.len() < WAITING {
            state.waiting.insert(number, frame);
        }
        state.go_on();
        if !state.waiting.is_empty() || number > state.last {
            self.missed.notify_one();
        } else {
            state.current_at = Instant::now();
        }
    }

    /// Takes in what the store has up to the place `until`; places without a comment are empty.
    pub(crate) fn catch_up(&self, comments: Vec<(u64, Frame)>, until: u64) {
        let mut state = self.state();
        for (number, frame) in comments {
            if number > state.last {
                state.last = number;
                state.tell_and_remember(number, frame);
            }
        }
        state.last = state.last.max(until);
        state.go_on();
    }

    /// Remembers older comments: all of those between two places.
    pub(crate) fn recall(&self, from: u64, comments: Vec<(u64, Frame)>, until: u64) {
        let mut state = self.state();
        if until < state.since {
            // So much was said meanwhile that there is a gap.
            return;
        }
        for (number, frame) in comments.into_iter().rev() {
            if number > state.since {
                continue;
            }
            if state.recent.len() == REMEMBERED {
                state.since = number;
                return;
            }
            let message = Arc::new(Message::new(frame));
            state.recent.push_front((number, message));
        }
        state.since = state.since.min(from);
    }

    /// Forgets the comments up to a place: one of them was changed or removed, and whoever asks shall have it from the store.
    pub(crate) fn forget(&self, until: u64) {
        let mut state = self.state();
        state.changes += 1;
        state.forget(until);
    }

    /// Forgets all that was read from the store while comments were changed: it may be older.
    pub(crate) fn forget_if_changed(&self, changes: u64) {
        let mut state = self.state();
        if state.changes != changes {
            state.forget(u64::MAX);
        }
    }

    /// How often something was changed that may be remembered.
    pub(crate) fn changes(&self) -> u64 {
        self.state().changes
    }

    /// The last place that members were told of.
    pub(crate) fn last(&self) -> u64 {
        self.state().last
    }

    /// The place after which every comment is remembered.
    pub(crate) fn since(&self) -> u64 {
        self.state().since
    }

    /// When its members had everything, as far as is known.
    pub(crate) fn current_at(&self) -> Instant {
        self.state().current_at
    }

    /// The store was looked at: the next look is due later.
    pub(crate) fn looked(&self) {
        self.state().current_at = Instant::now();
    }

    /// Whether nobody is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.state().members.is_empty()
    }

    /// How many sockets are in it, and the people among them.
    pub(crate) fn present(&self) -> (usize, Vec<i64>) {
        let state = self.state();
        let people = state.members.values();
        let mut people: Vec<i64> = people.filter_map(|(member, _)| member.user_id).collect();
        people.sort_unstable();
        people.dedup();
        (state.members.len(), people)
    }

    /// Whether somebody came or went since this was asked last.
    pub(crate) fn take_changed(&self) -> bool {
        std::mem::take(&mut self.state().changed)
    }

    /// Sends everybody away: there is nothing to talk about any more.
    pub(crate) fn end(&self) {
        for (member, _) in self.state().members.values() {
            member.cut.end(DELETED);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Tells what waited and is next now.
    fn go_on(&mut self) {
        let last = self.last;
        self.waiting.retain(|number, _| *number > last);
        while let Some(frame) = self.waiting.remove(&(self.last + 1)) {
            self.last += 1;
            self.tell_and_remember(self.last, frame);
        }
    }

    fn forget(&mut self, until: u64) {
        self.waiting.retain(|number, _| *number > until);
        self.recent.retain(|(number, _)| *number > until);
        self.since = self.since.max(until.min(self.last));
    }

    fn tell_and_remember(&mut self, number: u64, frame: Frame) {
        let message = Arc::new(Message::new(frame));
        self.deliver(Some(number), &message);
        if self.recent.len() == REMEMBERED
            && let Some((oldest, _)) = self.recent.pop_front()
        {
            self.since = oldest;
        }
        self.recent.push_back((number, message));
    }

    /// Writes to each member's connection, here and now: that is cheaper than to wake thousands of
    /// tasks, and only what a connection does not take waits for its task.
    fn deliver(&mut self, number: Option<u64>, message: &Message) {
        let before = self.members.len();
        self.members.retain(|_, (member, has)| {
            number.is_some_and(|number| number <= *has) || member.tell(message)
        });
        self.changed |= self.members.len() < before;
        metrics::delivered(self.members.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ear that has room for so many messages.
    #[derive(Debug)]
    struct Heard(Mutex<Vec<String>>, usize);

    impl Ear for Heard {
        fn hear(&self, message: &Message) -> Result<(), Refused> {
            let mut heard = self.0.lock().unwrap();
            if heard.len() == self.1 {
                return Err(Refused::Full);
            }
            heard.push(message.frame().to_string());
            Ok(())
        }
    }

    fn member(id: u64, room: usize) -> (Member, Arc<Heard>) {
        let heard = Arc::new(Heard(Mutex::default(), room));
        let member = Member {
            id,
            user_id: None,
            ear: Arc::<Heard>::clone(&heard),
            cut: Arc::default(),
        };
        (member, heard)
    }

    fn room(last: u64) -> Room {
        let name = RoomName::of_post("1").unwrap();
        Room::of_post(name, "1".into(), last)
    }

    fn frame(number: u64) -> Frame {
        number.to_string().into()
    }

    fn got(heard: &Heard) -> Vec<String> {
        std::mem::take(&mut heard.0.lock().unwrap())
    }

    #[test]
    fn s0_11_comments_are_told_once_and_in_their_order() {
        let room = room(0);
        let (one, first) = member(1, 64);
        room.join(&one, None).unwrap();
        for number in [2, 1, 1, 4, 2] {
            room.offer(number, frame(number));
        }
        assert_eq!(got(&first), ["1", "2"]);
        // 3 was lost, and 5 was deleted.
        room.catch_up(vec![(3, frame(3)), (4, frame(4))], 5);
        room.offer(6, frame(6));
        assert_eq!(got(&first), ["3", "4", "6"]);
    }

    #[test]
    fn d8_who_comes_back_gets_what_was_missed_and_nothing_twice() {
        let room = room(10);
        for number in 11..=14 {
            room.offer(number, frame(number));
        }
        let (back, queue) = member(1, 64);
        room.join(&back, Some(12)).unwrap();
        room.offer(15, frame(15));
        assert_eq!(got(&queue), ["13", "14", "15"]);
        let (long_away, queue) = member(2, 64);
        assert_eq!(room.join(&long_away, Some(9)), Err(9));
        // Who knows more than this instance is not told again.
        room.join(&long_away, Some(17)).unwrap();
        for number in 16..=18 {
            room.offer(number, frame(number));
        }
        assert_eq!(got(&queue), ["18"]);
    }

    #[test]
    fn d8_a_room_remembers_what_it_was_not_there_for() {
        let room = room(10);
        let (back, queue) = member(1, 1024);
        assert_eq!(room.join(&back, Some(6)), Err(6));
        room.offer(11, frame(11));
        // 7 is deleted.
        let older = || vec![(8, frame(8)), (9, frame(9)), (10, frame(10))];
        room.recall(6, older(), 10);
        room.recall(6, older(), 10);
        room.join(&back, Some(6)).unwrap();
        assert_eq!(got(&queue), ["8", "9", "10", "11"]);
        room.leave(1);
        assert_eq!(room.join(&back, Some(5)), Err(5));
        // No more than it has room for, and then the newest.
        let many = (1..=6).map(|number| (number, frame(number))).collect();
        for number in 12..=258 {
            room.offer(number, frame(number));
        }
        room.recall(0, many, 6);
        assert_eq!(room.since(), 1);
        room.join(&back, Some(1)).unwrap();
        assert_eq!(got(&queue).len(), REMEMBERED);
        // Something was forgotten while it was fetched: there would be a gap.
        room.offer(259, frame(259));
        room.offer(260, frame(260));
        room.recall(0, vec![(1, frame(1)), (2, frame(2))], 2);
        assert_eq!(room.since(), 3);
    }

    #[test]
    fn d8_what_was_changed_is_not_told_as_it_was() {
        let room = room(0);
        let (back, queue) = member(1, 64);
        for number in [1, 2, 3, 5] {
            room.offer(number, frame(number));
        }
        room.forget(2);
        assert_eq!(room.join(&back, Some(0)), Err(0));
        room.recall(0, vec![(1, frame(1)), (2, "new".into())], 2);
        room.join(&back, Some(0)).unwrap();
        assert_eq!(got(&queue), ["1", "new", "3"]);
        // It waits for 4, which nobody told of.
        room.forget(5);
        room.offer(4, frame(4));
        room.catch_up(vec![(5, "calm".into())], 5);
        assert_eq!(got(&queue), ["4", "calm"]);
        let changes = room.changes();
        room.forget_if_changed(changes);
        assert_eq!(room.since(), 3);
        room.forget(1);
        room.forget_if_changed(changes);
        assert_eq!(room.since(), 5);
    }

    #[test]
    fn a_slow_reader_is_sent_away_and_others_feel_nothing() {
        let room = room(0);
        let ((slow, unread), (good, read)) = (member(1, 2), member(2, 64));
        room.join(&slow, None).unwrap();
        room.join(&good, None).unwrap();
        for number in 1..=5 {
            room.offer(number, frame(number));
        }
        assert_eq!(got(&unread), ["1", "2"]);
        assert_eq!(got(&read).len(), 5);
        assert_eq!(slow.cut.why.get(), Some(&TOO_SLOW));
        assert_eq!(room.present().0, 1);
    }
}
