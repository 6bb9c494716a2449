/*
 * Stores that are put back, on one link: two KMEs, the copies of their stores, hello with generations, lives,
 * commit counters and epochs, batches into lanes, devices that still hold what they delivered before. README.md says
 * what each action stands for, and which rule each mutant removes. KME 0 is the verifier, KME 1 the follower.
 *
 *   LOCAL     confirm: local (the master is answered after the local commit); else confirm: peer
 *   BACKS0/1  how often the store of KME 0, 1 may be put back to its copy, which is made at any time
 *   UNSEEN    how many of these the mark beside the store does not show: it is late, or lost
 *   CRASHES0/1  at most so many crashes of KME 0, 1 besides
 *   EARLY_COPIES  the copies are of the new stores
 *   SLOW_HELLO  question, answer and what follows from it are steps of their own
 *   FETCHES   slaves fetch, each key once (P3)
 *   WORKS     faults end at some time; when nothing more can happen then, the link must work
 *
 * A step is one transaction of a store, or one thing done in memory, as in deliveries.pml. A confirm that was sent may
 * arrive at any time, any number of times, or never, in whatever epoch.
 */

#ifndef CRASHES0
#define CRASHES0 0
#endif
#ifndef CRASHES1
#define CRASHES1 0
#endif
#ifndef BACKS0
#define BACKS0 0
#endif
#ifndef BACKS1
#define BACKS1 0
#endif
#ifndef UNSEEN
#define UNSEEN 0
#endif
#ifndef IDS0
#define IDS0 2
#endif
#ifndef IDS1
#define IDS1 0
#endif
/* Blocks that the devices make, and batches of one block that an epoch has at most. */
#ifndef BLOCKS
#define BLOCKS 2
#endif
#ifndef BATCHES
#define BATCHES 1
#endif

#define PEER(k) (1 - (k))
#define BIT(s) (1 << (s))
#define BACKS(k) ((k) == 0 -> BACKS0 : BACKS1)
#define CRASHES(k) ((k) == 0 -> CRASHES0 : CRASHES1)

#define IDS (IDS0 + IDS1)
#define FIRST_ID(k) ((k) == 0 -> 0 : IDS0)
#define END_ID(k) ((k) == 0 -> IDS0 : IDS)
#define OWNER(i) ((i) < IDS0 -> 0 : 1)

/* The promises. A broken one becomes 0. */
bit P2_holds = 1, P3_holds = 1, P6_holds = 1, works_holds = 1;
#define BREAKS(promise) promise = 0; assert(promise)

#ifdef WITNESS
bit unseen = 1;
#endif
#define WORKS_AGAIN 1
#define NOTICED_BY_PEER 2
#define NOTICED_BY_SELF 3
#define NOTICED_AT_START 4
#define NOT_NOTICED 5
#define STALE 6
#ifdef WITNESS
#define SEE(event, condition) if :: WITNESS == event && (condition) -> BREAKS(unseen) :: else fi
#else
#define SEE(event, condition) skip
#endif

/* ---- Durable state: of store k at k, of its copy at COPY(k) ---- */
#define COPY(k) ((k) + 2)
#define EMPTY 4
byte gen[5] = 1; /* the generation */
byte former[5]; /* a mask */
byte life[5] = 1;
byte counter[5];
byte changes[5]; /* FETCHES: commits that changed something of the link, for the mark */
bit counting[5];
bit greeted[5]; /* hello with the peer's present life succeeded, in the present life */
bit restored[5];
byte epoch[5]; /* 0: none */
byte after[5]; /* whom the epoch was made after a restore of: a mask of ends */
bit agreedIn[5]; /* a hello was agreed in it */
bit met[5]; /* the rest is known of the peer */
byte knownGen[5]; /* 0: left open */
byte knownLife[5];
byte knownCounter[5];
byte last[5]; /* the last batch decided */
byte closed[5]; /* batches that may be allocated from */
byte proposed[5]; /* the block of an open proposal; 0: none */
byte have[5]; /* blocks not verified yet, a mask */
byte checkpoint[5]; /* up to which block the device delivered */
bit fresh[5]; /* the device was opened afresh in this epoch */
byte consumed[5]; /* places of both lanes, a mask */
byte batch[5 * BATCHES]; /* the block that became batch n; LACKING: it was not there */
#define BATCH(s, n) batch[(s) * BATCHES + (n) - 1]
#define LACKING 8
/* Of each batch one key is in each lane: its place in a mask, and its bytes, by block and lane. */
#define PLACE(lane, n) BIT((lane) * BATCHES + (n) - 1)
#define BYTES(lane, block) ((block) * 2 + (lane))
#define NO_BYTES 0

/* A delivery at the KME that allocated it: of its store at i, of the copy at IDS + i. */
#define NO_ROW 0
#define ROW 1
#define ENDED 2
byte issued[3 * IDS];
/* A delivery at the other KME, and the bytes that it holds. */
#define HELD 1
#define FETCHED 2
byte row[3 * IDS];
byte rowBytes[3 * IDS];

/* An epoch is a counter and an ID: those of one counter are told apart. */
byte made[8];
#define COUNTER(e) ((e) & 7)
#define MOST_EPOCHS 7
#define MOST_LIVES 12

/* ---- In memory: gone after a crash ---- */
bit session[2];
byte taken[2]; /* the allocator's mark, a mask of places */
byte told[2]; /* the commit counter that messages name: as of the last look at the store, so it may lag behind */
bit call[IDS]; /* the master's call waits */
bit queued[IDS]; /* its commit is under way */
bit done[IDS]; /* the peer has answered */
#ifdef WORKS
bit idle[2]; /* nothing has changed since the last hello that led to nothing */
#define CHANGED idle[0] = 0; idle[1] = 0
#else
#define CHANGED skip
#endif

/* ---- The network ---- */
byte confirmed[IDS]; /* a confirm that was sent: its stamp, 0: none ... */
byte confirmedCounter[IDS]; /* ... and commit counter */
#define STAMP(sender, receiver) ((sender) * 16 + (receiver))

/* A hello under way: what the asker was when it asked (A), and what the peer answered (R). */
bit asked[2];
bit replied[2];
byte askedLife[2], askedEpoch[2], askedAfter[2], askedGen[2], askedKnownLife[2], askedCounter[2], askedLast[2];
bit askedAgreed[2], askedMet[2];
byte saidGen[2], saidLife[2], saidCounter[2], saidEpoch[2], saidAfter[2], saidLast[2], saidConsumed[2];
byte saidKnownGen[2], saidKnownLife[2], saidKnownCounter[2];
bit saidRestored[2], saidMet[2];

/* ---- What the world has seen ---- */
byte idEpoch[IDS]; /* of each key ID: its range ... */
byte idBatch[IDS];
byte idBytes[IDS]; /* ... and the bytes that its master got, or will */
bit answered[IDS];
bit fetched[IDS];
#ifdef FETCHES
byte fetchCounter[IDS]; /* the commit counter that says so; UNCOUNTED: none does */
bit unheard[IDS]; /* fetched, and forgotten before the peer had heard of it: nothing is promised */
#endif
#define UNCOUNTED 255
byte leftUnder[2 * BLOCKS + 2]; /* the key ID, plus 1, under which bytes left */
#define NOT_PROMISED 255
byte gens[2] = 1; /* generations made */
byte blocks; /* blocks that the devices have made */
byte discarded[2]; /* up to which block a source holds nothing any more */
byte crashes[2];
byte backs[2];
byte unseens;
#ifdef EARLY_COPIES
bit copied[2] = 1;
#else
bit copied[2];
#endif
bit calm;

inline leave(i, b) {
	if
	:: leftUnder[b] == NOT_PROMISED -> skip
	:: leftUnder[b] != NOT_PROMISED && leftUnder[b] != 0 && leftUnder[b] != i + 1 -> BREAKS(P6_holds)
	:: else -> leftUnder[b] = i + 1
	fi
}

/* A transaction that changes something of the link. */
#ifdef MUTANT_COUNTS_BEFORE_HELLO
#define COUNTS(k) 1
#else
#define COUNTS(k) counting[k]
#endif

inline touch(k) {
	counter[k] = counter[k] + (COUNTS(k) -> 1 : 0);
#ifdef FETCHES
	changes[k]++;
#endif
	CHANGED
}

/* What was sent in a session is answered in it, or the answer is dropped. */
inline endSession(k, i) {
	session[k] = 0;
	i = FIRST_ID(k);
	do
	:: i < END_ID(k) -> done[i] = 0; i++
	:: else -> break
	od;
	CHANGED
}

inline beginLife(k) {
	life[k]++;
	greeted[k] = 0;
	counting[k] = 0
}

/* ---- Restores ---- */

inline becomeRestored(k, i) {
#ifndef MUTANT_GENERATION_STAYS
	former[k] = former[k] | BIT(gen[k]);
	gens[k]++;
	gen[k] = gens[k];
#endif
	if
	:: backs[k] == 0 || life[k] > MOST_LIVES -> BREAKS(works_holds) /* it was not, or it never comes to an end */
	:: else
	fi;
	restored[k] = 1;
	life[k]++;
	greeted[k] = 0;
	counting[k] = 0;
	/* Nobody knows which of it was fetched since. */
#ifndef MUTANT_HELD_STAYS
	i = FIRST_ID(PEER(k));
	do
	:: i < END_ID(PEER(k)) ->
		if
		:: row[i] == HELD -> row[i] = FETCHED; rowBytes[i] = NO_BYTES
		:: else
		fi;
		i++
	:: else -> break
	od;
#endif
	i = 0
}

/* In hello. */
inline findRestored(k, i) {
	SEE(NOTICED_BY_SELF, 1);
	becomeRestored(k, i);
	endSession(k, i);
	beginLife(k)
}

inline copyStore(from, to, fromRows, toRows, k, i) {
	gen[to] = gen[from];
	former[to] = former[from];
	life[to] = life[from];
	counter[to] = counter[from];
	changes[to] = changes[from];
	counting[to] = counting[from];
	greeted[to] = greeted[from];
	restored[to] = restored[from];
	epoch[to] = epoch[from];
	after[to] = after[from];
	agreedIn[to] = agreedIn[from];
	met[to] = met[from];
	knownGen[to] = knownGen[from];
	knownLife[to] = knownLife[from];
	knownCounter[to] = knownCounter[from];
	last[to] = last[from];
	closed[to] = closed[from];
	proposed[to] = proposed[from];
	have[to] = have[from];
	checkpoint[to] = checkpoint[from];
	fresh[to] = fresh[from];
	consumed[to] = consumed[from];
	i = 1;
	do
	:: i <= BATCHES -> BATCH(to, i) = BATCH(from, i); i++
	:: else -> break
	od;
	i = 0;
	do
	:: i < IDS ->
		if
		:: OWNER(i) == k -> issued[toRows + i] = issued[fromRows + i]
		:: else -> row[toRows + i] = row[fromRows + i]; rowBytes[toRows + i] = rowBytes[fromRows + i]
		fi;
		i++
	:: else -> break
	od;
	i = 0
}

inline forgetMemory(k, i) {
	session[k] = 0;
	taken[k] = 0;
	told[k] = 0;
	forgetHello(k);
	i = FIRST_ID(k);
	do
	:: i < END_ID(k) -> call[i] = 0; queued[i] = 0; done[i] = 0; i++
	:: else -> break
	od;
	CHANGED
}

/* The mark shows that the copy is not the store that last ran. */
#if defined(MUTANT_NO_MARK)
#define IS_MARKED_LATER(k) 0
#else
#if defined(FETCHES) && !defined(MUTANT_MARK_COUNTS_AS_HELLO)
#define IS_LESS(k) (changes[COPY(k)] < changes[k])
#else
#define IS_LESS(k) (counter[COPY(k)] < counter[k])
#endif
#define IS_MARKED_LATER(k) ((former[COPY(k)] & BIT(gen[k])) == 0 && \
    (gen[COPY(k)] != gen[k] || life[COPY(k)] < life[k] || IS_LESS(k)))
#endif

/* What nobody can put back any more only makes states. */
inline forgetCopy(k, i) {
	if
	:: backs[k] == BACKS(k) -> copyStore(EMPTY, COPY(k), 2 * IDS, IDS, k, i)
	:: else
	fi
}

/* How a copy comes back. */
#define BY_COMMAND 0
#define BY_HAND 1
#define BY_HAND_UNSEEN 2

#ifdef MUTANT_COMMAND_KEEPS_GENERATION
#define COMMAND_RENEWS 0
#else
#define COMMAND_RENEWS 1
#endif

inline putBack(k, how, i, m) {
	backs[k]++;
#ifdef LOCAL
	/* What the other KME has not heard of is not promised. */
	i = FIRST_ID(k);
	do
	:: i < END_ID(k) ->
		if
		:: answered[i] && row[i] == NO_ROW -> leftUnder[idBytes[i]] = NOT_PROMISED
		:: else
		fi;
		i++
	:: else -> break
	od;
#endif
#ifdef FETCHES
	i = FIRST_ID(PEER(k));
	do
	:: i < END_ID(PEER(k)) ->
		if
		:: how == BY_HAND_UNSEEN && fetched[i] && knownCounter[PEER(k)] < fetchCounter[i] -> unheard[i] = 1
		:: else
		fi;
		i++
	:: else -> break
	od;
#endif
	m = (how == BY_COMMAND && COMMAND_RENEWS) || (how == BY_HAND && IS_MARKED_LATER(k));
	SEE(NOTICED_AT_START, m && how == BY_HAND);
	copyStore(COPY(k), k, IDS, 0, k, i);
	forgetMemory(k, i);
	if
	:: m -> becomeRestored(k, i)
	:: else
	fi;
	beginLife(k);
	forgetCopy(k, i);
	m = 0
}

/* ---- Hello ---- */

/* A step's counters, and whom an epoch is made after a restore of: outside of the state. */
hidden byte x, y, whom;

inline forgetHello(k) {
	asked[k] = 0; replied[k] = 0;
	askedLife[k] = 0; askedEpoch[k] = 0; askedAfter[k] = 0; askedGen[k] = 0; askedKnownLife[k] = 0;
	askedCounter[k] = 0; askedLast[k] = 0; askedAgreed[k] = 0; askedMet[k] = 0;
	saidGen[k] = 0; saidLife[k] = 0; saidCounter[k] = 0; saidEpoch[k] = 0; saidAfter[k] = 0; saidLast[k] = 0;
	saidConsumed[k] = 0; saidKnownGen[k] = 0; saidKnownLife[k] = 0; saidKnownCounter[k] = 0;
	saidRestored[k] = 0; saidMet[k] = 0
}

inline ask(k) {
	asked[k] = 1;
	askedLife[k] = life[k];
	askedEpoch[k] = epoch[k];
	askedAfter[k] = after[k];
	askedAgreed[k] = agreedIn[k];
	askedMet[k] = met[k];
	askedGen[k] = knownGen[k];
	askedKnownLife[k] = knownLife[k];
	askedCounter[k] = knownCounter[k];
	askedLast[k] = last[k]
}

/* KME o hears the question of k, as k is now, and answers from durable state. */
inline reply(k, o, i) {
	if
	:: epoch[o] != 0 && met[o] && epoch[o] == epoch[k] && life[k] > knownLife[o] ->
		knownLife[o] = life[k];
		greeted[o] = 0;
		touch(o);
		endSession(o, i)
	:: else ->
		if
		:: session[o] && (restored[k] || epoch[k] != epoch[o] ||
		    (met[o] && (gen[k] != knownGen[o] || life[k] < knownLife[o]))) -> endSession(o, i)
		:: else
		fi
	fi;
	replied[k] = 1;
	saidGen[k] = gen[o];
	saidLife[k] = life[o];
	saidCounter[k] = counter[o];
#ifndef MUTANT_RESTORE_NOT_TOLD
	saidRestored[k] = restored[o];
#endif
	saidEpoch[k] = epoch[o];
	saidAfter[k] = after[o];
	saidLast[k] = last[o];
	saidConsumed[k] = consumed[o];
	saidMet[k] = met[o];
	saidKnownGen[k] = knownGen[o];
	saidKnownLife[k] = knownLife[o];
	saidKnownCounter[k] = knownCounter[o]
}

#define NAMES(mask, end) (((mask) & BIT(end)) != 0)
#define SAID_LOWER(k) (COUNTER(saidEpoch[k]) < COUNTER(askedEpoch[k]))
#define SAID_HIGHER(k) (COUNTER(saidEpoch[k]) > COUNTER(askedEpoch[k]))

/* Whether somebody who is known by generation, life and counter is less than that. */
#ifdef MUTANT_GENERATIONS_NOT_COMPARED
#define IS_ANOTHER(known, present) 0
#else
#define IS_ANOTHER(known, present) ((known) != 0 && (known) != (present))
#endif
#ifdef MUTANT_LIVES_NOT_COMPARED
#define IS_EARLIER(known, present) 0
#else
#define IS_EARLIER(known, present) ((present) < (known))
#endif
#ifdef MUTANT_COUNTERS_NOT_COMPARED
#define IS_LOWER(known, present) 0
#else
#define IS_LOWER(known, present) ((present) < (known))
#endif

/* What the peer knows of us is more than we are. */
#define IS_FORMER(k) IS_ANOTHER(saidKnownGen[k], gen[k])
#ifdef MUTANT_SELF_NOT_COMPARED
#define IS_SELF_BEHIND(k) 0
#else
#define IS_SELF_BEHIND(k) (saidMet[k] && \
    (IS_FORMER(k) || IS_EARLIER(saidKnownLife[k], life[k]) || IS_LOWER(saidKnownCounter[k], counter[k])))
#endif
/* What we knew of the peer is more than it is. */
#ifdef MUTANT_PEER_NOT_COMPARED
#define IS_PEER_BEHIND(k) 0
#elif defined(MUTANT_COMPARES_WITH_NOW)
#define IS_PEER_BEHIND(k) (met[k] && (IS_ANOTHER(knownGen[k], saidGen[k]) || \
    IS_EARLIER(knownLife[k], saidLife[k]) || IS_LOWER(knownCounter[k], saidCounter[k])))
#else
#define IS_PEER_BEHIND(k) (askedMet[k] && (IS_ANOTHER(askedGen[k], saidGen[k]) || \
    IS_EARLIER(askedKnownLife[k], saidLife[k]) || IS_LOWER(askedCounter[k], saidCounter[k])))
#endif

/* The verifier's epoch was made for a restore of that end, and the follower never had it. */
#define IS_PENDING(k, end) (SAID_LOWER(k) && !askedAgreed[k] && NAMES(askedAfter[k], end))

/* Whether the peer may mean a former generation, as one that left it open does. */
#ifdef MUTANT_OPEN_GENERATION_JUDGED
#define MAY_BE_FORMER(k) IS_FORMER(k)
#else
#define MAY_BE_FORMER(k) (IS_FORMER(k) || saidKnownGen[k] == 0)
#endif
#define KNOWS_ALREADY(k) ((restored[k] || ((k) == 0 && IS_PENDING(k, 0))) && MAY_BE_FORMER(k))
#define VERIFIER_FORGOT(k) (saidEpoch[k] != 0 && saidEpoch[k] != askedEpoch[k] && !SAID_LOWER(k))
#define FOLLOWER_FORGOT(k) (SAID_HIGHER(k) && (NAMES(saidAfter[k], 1) || saidLast[k] > 0))
/* In one epoch the verifier has decided what the follower has, or has the next batch open. */
#define MOST_LAST(k) ((k) == 0 -> last[k] + (proposed[k] != 0 -> 1 : 0) : last[k])
#ifdef MUTANT_BATCHES_NOT_COMPARED
#define IS_BATCH_LOST(k) 0
#define IS_PEER_BATCH_LOST(k) 0
#else
#define IS_BATCH_LOST(k) (saidEpoch[k] != 0 && saidEpoch[k] == epoch[k] && saidLast[k] > MOST_LAST(k))
#define IS_PEER_BATCH_LOST(k) ((k) == 0 && saidEpoch[k] != 0 && saidEpoch[k] == askedEpoch[k] && saidLast[k] < askedLast[k])
#endif
#define FORGOT(k) (IS_BATCH_LOST(k) || FORGOT_EPOCH(k))
#define FORGOT_EPOCH(k) ((k) == 0 -> VERIFIER_FORGOT(k) : FOLLOWER_FORGOT(k))
#define IS_SELF_RESTORED(k) ((IS_SELF_BEHIND(k) && !KNOWS_ALREADY(k)) || (FORGOT(k) && !restored[k]))

#define SHOWS_RESTORE(k) (IS_PEER_BEHIND(k) || IS_PEER_BATCH_LOST(k) || (saidRestored[k] && !IS_PENDING(k, 1)) || \
    (askedAgreed[k] && SAID_LOWER(k)))
#define MAKES_ANOTHER(k) (restored[k] || SHOWS_RESTORE(k))
#define AFTER_OF_VERIFIER(k) (restored[k] || (MAKES_ANOTHER(k) && IS_PENDING(k, 0)))
#define AFTER_OF_FOLLOWER(k) (SHOWS_RESTORE(k) || (MAKES_ANOTHER(k) && IS_PENDING(k, 1)))
#define AFTER(k) ((AFTER_OF_VERIFIER(k) -> 1 : 0) + (AFTER_OF_FOLLOWER(k) -> 2 : 0))

#ifdef MUTANT_TAKES_LOWER_EPOCH
#define IS_NEWS(k) (saidEpoch[k] != 0 && saidEpoch[k] != askedEpoch[k])
#else
#define IS_NEWS(k) SAID_HIGHER(k)
#endif
#define IS_FOR_US(k) (NAMES(saidAfter[k], 1) && saidMet[k] && saidKnownGen[k] == 0)
#ifdef MUTANT_RESTORED_TAKES_ANY_EPOCH
#define MAY_BEGIN(k) 1
#else
#define MAY_BEGIN(k) (!restored[k] || IS_FOR_US(k))
#endif
#define MAY_TAKE_OVER(k) (MAY_BEGIN(k) && (!IS_PEER_BEHIND(k) || NAMES(saidAfter[k], 0)))

#define OWN_PLACES(k) (((1 << BATCHES) - 1) << ((k) * BATCHES))
#define ADOPTED(k) (saidConsumed[k] & OWN_PLACES(k) & ~consumed[k])
/* The places of both lanes that KME k has. */
#define APPENDED(k) (((1 << last[k]) - 1) * (1 + BIT(BATCHES)))

/* Writes name the life and the epoch of the question. */
#define IS_OF_NOW(k) (askedLife[k] == life[k] && askedEpoch[k] == epoch[k])

inline beginEpoch(k, e, ends, i) {
	epoch[k] = e;
	after[k] = ends;
	agreedIn[k] = 0;
	restored[k] = 0;
	met[k] = 1;
#ifdef MUTANT_GENERATION_NOT_LEFT_OPEN
	knownGen[k] = saidGen[k];
#else
	knownGen[k] = (NAMES(ends, PEER(k)) -> 0 : saidGen[k]);
#endif
	knownLife[k] = saidLife[k];
	knownCounter[k] = saidCounter[k];
	greeted[k] = 0;
	closed[k] = 0;
	proposed[k] = 0;
#ifndef MUTANT_BLOCKS_STAY
	have[k] = 0;
#endif
	checkpoint[k] = 0;
	fresh[k] = 0;
	taken[k] = 0;
#ifndef MUTANT_LANES_STAY
	last[k] = 0;
	consumed[k] = 0;
	i = 1;
	do
	:: i <= BATCHES -> BATCH(k, i) = 0; i++
	:: else -> break
	od;
#endif
	i = FIRST_ID(k);
	do
	:: i < END_ID(k) ->
		call[i] = 0;
		queued[i] = 0;
		if
		:: issued[i] == ROW -> issued[i] = ENDED
		:: else
		fi;
		i++
	:: else -> break
	od;
	touch(k)
}

inline makeEpoch(k, i, m) {
#ifdef MUTANT_COUNTS_OWN_EPOCHS
	m = COUNTER(askedEpoch[k]) + 1;
#else
	m = (SAID_HIGHER(k) -> COUNTER(saidEpoch[k]) : COUNTER(askedEpoch[k])) + 1;
#endif
	if
	:: m > MOST_EPOCHS || (NAMES(AFTER(k), 0) && backs[0] == 0) || (NAMES(AFTER(k), 1) && backs[1] == 0) ->
		BREAKS(works_holds)
	:: else
	fi;
	i = made[m];
	made[m]++;
#ifndef MUTANT_EPOCH_WITHOUT_ID
	m = m + i * 8;
#endif
	whom = AFTER(k);
	SEE(NOTICED_BY_PEER, SHOWS_RESTORE(k) && !saidRestored[k]);
	beginEpoch(k, m, whom, i);
	whom = 0;
	m = 0
}

inline agree(k, i) {
	if
	:: restored[k] || (met[k] && (knownGen[k] == 0 || knownGen[k] == saidGen[k]) && saidLife[k] < knownLife[k]) -> skip
	:: else ->
		if
		/* Only this end allocates from its lane: it has forgotten that it was longer. */
		:: (ADOPTED(k) & ~APPENDED(k)) != 0 ->
#ifdef MUTANT_USE_BEYOND_REFUSED
			skip
#else
			findRestored(k, i)
#endif
		:: else ->
#ifndef MUTANT_NO_ADOPT
			consumed[k] = consumed[k] | ADOPTED(k);
#endif
			if
			:: k == 1 -> closed[k] = (saidLast[k] < last[k] -> saidLast[k] : last[k])
			:: else
			fi;
			if
			:: met[k] && (knownGen[k] == 0 || knownGen[k] == saidGen[k]) && knownCounter[k] > saidCounter[k] -> skip
			:: else -> knownCounter[k] = saidCounter[k]
			fi;
			met[k] = 1;
			knownGen[k] = saidGen[k];
			knownLife[k] = saidLife[k];
			agreedIn[k] = 1;
			greeted[k] = 1;
			counting[k] = 1;
			session[k] = 1;
			touch(k);
			told[k] = counter[k]
		fi
	fi
}

inline judge(k, i, m) {
	if
	:: !IS_OF_NOW(k) -> skip
	:: else ->
		if
		:: IS_SELF_RESTORED(k) ->
			findRestored(k, i)
		:: !IS_SELF_RESTORED(k) && k == 0 ->
			if
			:: AFTER(k) != 0 || (askedEpoch[k] == 0 && saidEpoch[k] == 0) -> makeEpoch(k, i, m)
			:: AFTER(k) == 0 && askedEpoch[k] != 0 && askedEpoch[k] == saidEpoch[k] -> agree(k, i)
			:: else
			fi
		:: !IS_SELF_RESTORED(k) && k == 1 ->
			if
			:: saidRestored[k] -> skip
			:: !saidRestored[k] && IS_NEWS(k) ->
				if
				:: MAY_TAKE_OVER(k) -> m = saidEpoch[k]; whom = saidAfter[k]; beginEpoch(k, m, whom, i); m = 0; whom = 0
				:: else
				fi
			:: !saidRestored[k] && !IS_NEWS(k) && !IS_PEER_BEHIND(k) && !restored[k] &&
			    askedEpoch[k] != 0 && askedEpoch[k] == saidEpoch[k] -> agree(k, i)
			:: else
			fi
		fi
	fi;
	forgetHello(k)
}

/* ---- Devices and batches ---- */

#define NEXT_BLOCK(k) ((checkpoint[k] > discarded[k] -> checkpoint[k] : discarded[k]) + 1)

/* In an epoch after a restore the device is opened afresh: its source discards what it holds from before. */
#ifdef MUTANT_DEVICES_GO_ON
#define MUST_OPEN_AFRESH(k) 0
#else
#define MUST_OPEN_AFRESH(k) (after[k] != 0 && !fresh[k])
#endif

inline openAfresh(k) {
	discarded[k] = blocks;
	fresh[k] = 1;
	CHANGED
}

inline deliver(k, b) {
	b = NEXT_BLOCK(k);
	checkpoint[k] = b;
	have[k] = have[k] | BIT(b);
	blocks = (b > blocks -> b : blocks);
	CHANGED;
	b = 0
}

/* A message of k is of the present at o. */
#ifdef MUTANT_EPOCH_NOT_CHECKED
#define IS_OF_EPOCH(o, e) 1
#else
#define IS_OF_EPOCH(o, e) (epoch[o] == (e))
#endif
#define IS_OF_LIVES(o, stamp) ((stamp) == STAMP(knownLife[o], life[o]))
#define IS_PRESENT(o, e, stamp) (session[o] && greeted[o] && IS_OF_EPOCH(o, e) && IS_OF_LIVES(o, stamp))
#define MY_STAMP(k) STAMP(life[k], knownLife[k])
#define REACHES(k, o) (session[k] && IS_PRESENT(o, epoch[k], MY_STAMP(k)))

inline seeCounter(o, said) {
	if
	:: said > knownCounter[o] -> knownCounter[o] = said
	:: else
	fi
}

inline propose(b) {
	b = 1;
	do
	:: (have[0] & have[1] & BIT(b)) == 0 -> b++
	:: else -> break
	od;
	proposed[0] = b;
	CHANGED;
	b = 0
}

/* The follower decides on the open proposal, durable first, or repeats its verdict. */
inline decide() {
	seeCounter(1, told[0]);
	last[1]++;
	closed[1] = last[1] - 1;
	if
	:: (have[1] & BIT(proposed[0])) != 0 ->
		have[1] = have[1] & ~BIT(proposed[0]);
		BATCH(1, last[1]) = proposed[0]
	:: else -> BATCH(1, last[1]) = proposed[0] + LACKING
	fi;
	touch(1);
	told[1] = counter[1]
}

inline conclude() {
	last[0]++;
	closed[0] = last[0];
	BATCH(0, last[0]) = BATCH(1, last[0]);
	have[0] = have[0] & ~BIT(proposed[0]);
	proposed[0] = 0;
	touch(0);
	told[0] = counter[0]
}

/* ---- Deliveries ---- */

#define LACKS(k, n) (BATCH(k, n) == 0 || BATCH(k, n) >= LACKING)
#define IS_FREE(k, lane, n) (!LACKS(k, n) && (consumed[k] & PLACE(lane, n)) == 0)
#define MAY_TAKE(k, n) (n <= closed[k] && IS_FREE(k, k, n) && (taken[k] & PLACE(k, n)) == 0)
#if BATCHES == 1
#define MAY_ALLOCATE(k) (session[k] && MAY_TAKE(k, 1))
#else
#define MAY_ALLOCATE(k) (session[k] && (MAY_TAKE(k, 1) || MAY_TAKE(k, 2)))
#endif

inline allocate(k, i, n) {
	i = FIRST_ID(k);
	do
	:: idEpoch[i] != 0 -> i++
	:: else -> break
	od;
	n = 1;
	do
	:: !MAY_TAKE(k, n) -> n++
	:: else -> break
	od;
	taken[k] = taken[k] | PLACE(k, n);
	idEpoch[i] = epoch[k];
	idBatch[i] = n;
	idBytes[i] = BYTES(k, BATCH(k, n));
	call[i] = 1;
	queued[i] = 1;
	confirmed[i] = MY_STAMP(k);
	confirmedCounter[i] = told[k];
	i = 0;
	n = 0
}

inline commit(k, i) {
	queued[i] = 0;
	if
	:: greeted[k] && IS_FREE(k, k, idBatch[i]) ->
		consumed[k] = consumed[k] | PLACE(k, idBatch[i]);
		issued[i] = ROW;
		touch(k)
	:: else -> call[i] = 0
	fi
}

/* The answer counts in the session in which was asked. */
inline answerDone(k, i) {
	if
	:: session[k] && (call[i] || issued[i] == ROW) && confirmed[i] == MY_STAMP(k) && idEpoch[i] == epoch[k] -> done[i] = 1
	:: else
	fi
}

inline refuse(k, i) {
	if
	:: session[k] && confirmed[i] == MY_STAMP(k) && idEpoch[i] == epoch[k] ->
		call[i] = 0;
		if
		:: issued[i] == ROW -> issued[i] = ENDED
		:: else
		fi
	:: else
	fi
}

inline applyConfirm(k, o, i) {
	seeCounter(o, confirmedCounter[i]);
	if
	:: row[i] != NO_ROW -> answerDone(k, i)
	:: row[i] == NO_ROW && IS_FREE(o, k, idBatch[i]) ->
		consumed[o] = consumed[o] | PLACE(k, idBatch[i]);
		row[i] = HELD;
		rowBytes[i] = BYTES(k, BATCH(o, idBatch[i]));
		touch(o);
		answerDone(k, i)
	:: else -> refuse(k, i)
	fi
}

#ifdef LOCAL
#define MAY_ANSWER(i) (call[i] && issued[i] == ROW)
#else
#define MAY_ANSWER(i) (call[i] && issued[i] == ROW && done[i])
#endif

inline answerMaster(i) {
	call[i] = 0;
	answered[i] = 1;
	SEE(WORKS_AGAIN, after[OWNER(i)] != 0);
	SEE(NOT_NOTICED, backs[0] + backs[1] > 0 && after[OWNER(i)] == 0);
	leave(i, idBytes[i])
}

active [IDS] proctype delivery()
{
#define i _pid
#define k OWNER(_pid)
#define other PEER(OWNER(_pid))
end:
	do
	:: d_step { queued[i] -> commit(k, i) }
	:: d_step {
		(issued[i] == ROW || call[i]) && session[k] && epoch[k] == idEpoch[i] && confirmed[i] != MY_STAMP(k) ->
			confirmed[i] = MY_STAMP(k);
			confirmedCounter[i] = told[k]
	   }
	:: d_step { MAY_ANSWER(i) -> answerMaster(i) }
	:: d_step {
		confirmed[i] != 0 && IS_PRESENT(other, idEpoch[i], confirmed[i]) &&
		    (row[i] == NO_ROW || call[i] && !done[i]) -> applyConfirm(k, other, i)
	   }
#ifdef WITNESS
	:: d_step { session[other] && row[i] == NO_ROW && COUNTER(idEpoch[i]) < COUNTER(epoch[other]) -> SEE(STALE, confirmed[i] != 0) }
#endif
#ifdef FETCHES
	:: d_step {
		row[i] == HELD && answered[i] ->
			if
			:: fetched[i] && !unheard[i] && (UNSEEN == 0 || session[other]) -> BREAKS(P3_holds)
			:: else
			fi;
			fetched[i] = 1;
			row[i] = FETCHED;
			rowBytes[i] = NO_BYTES;
			touch(other);
			fetchCounter[i] = (counting[other] -> counter[other] : UNCOUNTED)
	   }
#endif
	/* What must never be. */
	:: d_step { answered[i] && row[i] == HELD && rowBytes[i] != idBytes[i] -> BREAKS(P2_holds) }
	od
#undef i
#undef k
#undef other
}

/* Lanes are alike as far as both have them. */
#define ARE_ALIKE (BATCH(0, 1) == BATCH(1, 1) && BATCH(0, BATCHES) == BATCH(1, BATCHES))
#define LINK_WORKS (session[0] && session[1] && epoch[0] == epoch[1] && last[0] == last[1] && proposed[0] == 0 && \
    closed[1] == last[1] && ARE_ALIKE)

#define COPIES_LEFT(k) (!copied[k] && BACKS(k) > 0)

active [2] proctype kme()
{
#define k (_pid - IDS)
#define other PEER(_pid - IDS)
end:
	do
#ifdef SLOW_HELLO
	:: d_step { !session[k] && !asked[k] -> ask(k) }
	:: d_step { asked[k] && !replied[k] -> reply(k, other, x) }
	:: d_step { replied[k] -> judge(k, x, y) }
#elif defined(WORKS)
	:: d_step { !session[k] && !idle[k] -> idle[k] = 1; ask(k); reply(k, other, x); judge(k, x, y) }
#else
	:: d_step { !session[k] -> ask(k); reply(k, other, x); judge(k, x, y) }
#endif
	/* What the peer answers *stale* ends the session. */
	:: d_step {
		session[k] && (COUNTER(epoch[k]) < COUNTER(epoch[other]) ||
		    epoch[k] == epoch[other] && (life[k] < knownLife[other] || knownLife[k] < life[other])) && session[other] ->
			endSession(k, x)
	   }
	:: d_step { epoch[k] != 0 && !restored[k] && MUST_OPEN_AFRESH(k) -> openAfresh(k) }
	:: d_step {
		epoch[k] != 0 && !restored[k] && !MUST_OPEN_AFRESH(k) && NEXT_BLOCK(k) <= BLOCKS && last[k] < BATCHES ->
			deliver(k, x)
	   }
	:: d_step {
		k == 0 && session[0] && proposed[0] == 0 && last[0] < BATCHES && (have[0] & have[1]) != 0 -> propose(x)
	   }
	:: d_step { k == 1 && proposed[0] != 0 && REACHES(0, 1) && last[1] == last[0] -> decide() }
	:: d_step {
		k == 0 && proposed[0] != 0 && REACHES(0, 1) && last[1] == last[0] + 1 &&
		    (BATCH(1, last[1]) & 7) == proposed[0] -> conclude()
	   }
	:: d_step { k == 1 && REACHES(0, 1) && last[0] == last[1] && closed[1] < last[1] -> closed[1] = last[1]; CHANGED }
	:: d_step { MAY_ALLOCATE(k) && FIRST_ID(k) < END_ID(k) && idEpoch[END_ID(k) - 1] == 0 -> allocate(k, x, y) }
	/* Faults. */
#ifdef EARLY_COPIES
	:: d_step { !calm && crashes[k] < CRASHES(k) && backs[0] + backs[1] == 0 -> crashes[k]++; forgetMemory(k, x); beginLife(k) }
#else
	:: d_step { !calm && crashes[k] < CRASHES(k) -> crashes[k]++; forgetMemory(k, x); beginLife(k) }
#endif
	:: d_step { !calm && COPIES_LEFT(k) -> copied[k] = 1; copyStore(k, COPY(k), 0, IDS, k, x) }
	:: d_step { !calm && copied[k] && backs[k] < BACKS(k) -> putBack(k, BY_COMMAND, x, y) }
#ifndef COMMANDS_ALONE
	:: d_step { !calm && copied[k] && backs[k] < BACKS(k) -> putBack(k, BY_HAND, x, y) }
	:: d_step { !calm && copied[k] && backs[k] < BACKS(k) && unseens < UNSEEN -> unseens++; putBack(k, BY_HAND_UNSEEN, x, y) }
#endif
#ifdef WORKS
	:: d_step { k == 0 && !calm -> calm = 1 }
#endif
	od
#undef k
#undef other
}

#ifdef WORKS
active proctype end_of_it()
{
end:
	do
	:: timeout ->
		if
		:: calm && !LINK_WORKS -> BREAKS(works_holds)
		:: else
		fi
	od
}
#endif
