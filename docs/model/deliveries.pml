/*
 * Deliveries over one link: two KMEs, two lanes, a network that loses, repeats and reorders, crashes
 * of either side. README.md says what each action stands for, and which rule each mutant removes.
 *
 *   LOCAL   confirm: local (the master is answered after the local commit); else confirm: peer
 *   GRANT   the owner of lane 0 may grant slots of it to KME 1
 *   MARK_FROM_STORE  each session reads the allocator's mark from the store, after what was queued there
 *   CRASHES at most so many crashes of each KME
 *
 * A step is one transaction of a store, or one thing done in memory: what happens between two steps
 * of one KME is a crash, a message, a step of the other KME. A message that was sent may be delivered at
 * any time, any number of times, or never: that is loss, repetition and reordering in one.
 */

#ifndef CRASHES
#define CRASHES 1
#endif

#ifndef SLOTS0
#define SLOTS0 2
#endif
#ifndef SLOTS1
#define SLOTS1 1
#endif
#ifndef IDS0
#define IDS0 2
#endif
#ifndef IDS1
#define IDS1 1
#endif

/* Slots are numbered over both lanes: those of lane 0 first. A set of slots is a mask. */
#define SLOTS (SLOTS0 + SLOTS1)
#define LANE0 ((1 << SLOTS0) - 1)
#define LANE1 (((1 << SLOTS1) - 1) << SLOTS0)
#define LANE(k) ((k) == 0 -> LANE0 : LANE1)
#define NO_SLOT 15

/* Key IDs are never made twice: KME 0 makes the first ones. */
#define IDS (IDS0 + IDS1)
#define FIRST_ID(k) ((k) == 0 -> 0 : IDS0)
#define END_ID(k) ((k) == 0 -> IDS0 : IDS)
#define OWNER(i) ((i) < IDS0 -> 0 : 1)
/* Two pairs of SAEs: deliveries are for the slaves 0 and 1 in turn, both at the other KME. */
#define SLAVE(i) ((i) & 1)
#define BIT(s) (1 << (s))
#define PEER(k) (1 - (k))

/* The promises. A broken one becomes 0. */
bit P1_holds = 1, P2_holds = 1, P3_holds = 1, P4_holds = 1, P5_holds = 1;
#define BREAKS(promise) promise = 0; assert(promise)

/* A witness run looks for one event and is to find it: what never happens would keep every promise. */
#ifdef WITNESS
bit unseen = 1;
bit crashedBetween[IDS]; /* answered, then a crash before the slave fetched */
#endif
#define FETCHED_AFTER_ANSWER 1
#define FETCHED_AFTER_CRASH 2
#define ADOPTED 3
#define DROPPED 4
#define GRANT_USED 5
#define STALE 6
#ifdef WITNESS
#define SEE(event, condition) if :: WITNESS == event && (condition) -> BREAKS(unseen) :: else fi
#else
#define SEE(event, condition) skip
#endif

/* ---- Durable state ---- */
byte life[2] = 1;
byte knows[2]; /* the peer's life; 0: never met */
byte consumed[2]; /* slots of both lanes */
byte granted[2]; /* GRANT: slots of lane 0 given to KME 1, as each KME knows */
byte owedDrops[2]; /* slots consumed for no delivery, to be told */

/* A delivery at the KME that allocated it. */
#define NO_ROW 0
#define UNCONFIRMED 1
#define CONFIRMED 2
#define ENDED 3
byte issued[IDS];

/* A delivery at the other KME. HELD: with its bytes; FETCHED: without them; EXPIRED: no row any more. */
#define HELD 1
#define FETCHED 2
#define EXPIRED 3
byte row[IDS];
byte rowSlot[IDS] = NO_SLOT; /* the slot that it took there */

/* ---- In memory: gone after a crash ---- */
bit greeted[2]; /* a session: hello with the peer's present life succeeded */
bit met[2]; /* hello has succeeded once in this life */
byte taken[2]; /* the allocator's mark: slots taken in this life */
bit call[IDS]; /* the master's call waits */
bit queued[IDS]; /* its commit is under way */
bit heldInMemory[IDS]; /* mutants: applied, not durable */
bit fetchedInMemory[IDS];

/* ---- The network ---- */
byte confirmed[IDS]; /* a confirm that was sent: its stamp (sender's life, receiver's life); 0: none */
#define STAMP(sender, receiver) ((sender) * 4 + (receiver))
bit done[IDS]; /* answers to it */
bit refused[IDS];
bit answer[2]; /* an answer to the present question of hello of KME k ... */
byte answerLife[2]; /* ... and what it says */
byte answerConsumed[2];
byte grantMask; /* grants that were sent, and their stamp */
byte grantStamp;

/* ---- What the world has seen: nothing of it decides a step ---- */
byte slot[IDS] = NO_SLOT; /* of each key ID */
bit answered[IDS]; /* the master has the key */
bit fetched[IDS]; /* the slave has it */
byte leftUnder[SLOTS]; /* the key ID, plus 1, under which the bytes of a slot left to an SAE */
byte crashes[2];

/* Bytes of a slot leave to an SAE under a key ID. */
inline leave(i, s) {
	if
	:: leftUnder[s] != 0 && leftUnder[s] != i + 1 -> BREAKS(P1_holds)
	:: else -> leftUnder[s] = i + 1
	fi
}

/* What KME k may allocate from. */
#ifdef MUTANT_NO_OWNERSHIP
#define OWN_SLOTS(k) (LANE0 | LANE1)
#elif defined(GRANT)
#ifdef MUTANT_GRANT_USED_BY_OWNER
#define OWN_SLOTS(k) ((k) == 0 -> LANE0 : (LANE1 | granted[1]))
#else
#define OWN_SLOTS(k) ((k) == 0 -> (LANE0 & ~granted[0]) : (LANE1 | granted[1]))
#endif
#else
#define OWN_SLOTS(k) LANE(k)
#endif

/* What KME k lets its peer consume: the peer's lane but for what was granted to k, and what k granted. */
#ifdef MUTANT_NO_OWNERSHIP
#define PEER_SLOTS(k) (LANE0 | LANE1)
#elif defined(GRANT)
#define PEER_SLOTS(k) ((k) == 0 -> (LANE1 | granted[0]) : (LANE0 & ~granted[1]))
#else
#define PEER_SLOTS(k) LANE(PEER(k))
#endif

#define FREE(k) (OWN_SLOTS(k) & ~(consumed[k] | taken[k]))

/* A message of the peer of KME k is of the present. */
#define IS_PRESENT(k, stamp) (greeted[k] && (stamp) == STAMP(knows[k], life[k]))
#ifdef MUTANT_NO_LIFE_CHECK
#define APPLIES(k, stamp) (greeted[k] && (stamp) != 0)
#else
#define APPLIES(k, stamp) IS_PRESENT(k, stamp)
#endif

#define MY_STAMP(k) STAMP(life[k], knows[k])

/*
 * A message that can never apply any more is forgotten: it would be answered *stale*, which changes
 * nothing. This only saves states.
 */
inline forgetStale(k, i) {
	skip;
#ifndef MUTANT_NO_LIFE_CHECK
	i = FIRST_ID(PEER(k));
	do
	:: i < END_ID(PEER(k)) ->
		if
		:: confirmed[i] != 0 && confirmed[i] != STAMP(knows[k], life[k]) ->
			SEE(STALE, greeted[k]);
			confirmed[i] = 0
		:: else
		fi;
		i++
	:: else -> break
	od;
	if
	:: k == 1 && grantStamp != 0 && grantStamp != STAMP(knows[1], life[1]) -> grantStamp = 0; grantMask = 0
	:: else
	fi
#endif
}

/*
 * So is what nobody waits for: answers when the call and the need to be told are over, and a confirm when both
 * ends have ended the delivery (its slot is consumed at its receiver for good, which is checked).
 */
#ifdef KEEP_ALL
#define settle(i) skip
#else
inline settle(i) {
	if
	:: !call[i] && !queued[i] && issued[i] != UNCONFIRMED ->
		done[i] = 0;
		refused[i] = 0;
		if
		:: row[i] == EXPIRED && issued[i] != CONFIRMED && confirmed[i] != 0 ->
			if
			:: (consumed[PEER(OWNER(i))] & BIT(slot[i])) == 0 -> BREAKS(P3_holds)
			:: else -> confirmed[i] = 0
			fi
		:: else
		fi
	:: else
	fi
}
#endif

/* The question of KME PEER(k) reaches KME k, which answers from durable state. */
inline hearHello(k, i) {
	if
#ifndef MUTANT_QUESTION_TEACHES_NOTHING
	:: knows[k] < life[PEER(k)] ->
		/* The peer has started anew: its earlier messages are over, and so is our session. */
		knows[k] = life[PEER(k)];
		greeted[k] = 0;
		forgetStale(k, i)
#endif
	:: else
	fi;
	answer[PEER(k)] = 1;
	answerLife[PEER(k)] = life[k];
	answerConsumed[PEER(k)] = consumed[k]
}

/* KME k accepts the answer to its question. */
inline agreeHello(k, i) {
	if
	:: answerLife[k] < knows[k] -> skip /* the peer has begun another life since: ask again */
	:: else ->
		knows[k] = answerLife[k];
		SEE(ADOPTED, (answerConsumed[k] & OWN_SLOTS(k) & ~consumed[k]) != 0);
#ifndef MUTANT_NO_ADOPT
		consumed[k] = consumed[k] | (answerConsumed[k] & OWN_SLOTS(k));
#endif
#ifdef MARK_FROM_STORE
		/* The read of the store waits for the commits that were queued before it. */
		i = FIRST_ID(k);
		do
		:: i < END_ID(k) ->
			if
			:: queued[i] -> commit(k, i)
			:: else
			fi;
			i++
		:: else -> break
		od;
		taken[k] = 0;
#endif
#ifdef MUTANT_MARK_GOES_BACK
		taken[k] = 0;
#endif
		greeted[k] = 1;
		met[k] = 1;
		forgetStale(k, i)
	fi;
	answer[k] = 0;
	answerLife[k] = 0;
	answerConsumed[k] = 0
}

/* A new key ID takes the next free slot. The commit is under way and so is the confirm. */
inline allocate(k, i, s) {
	i = FIRST_ID(k);
	do
	:: slot[i] != NO_SLOT -> i++
	:: else -> break
	od;
	s = 0;
	do
	:: (FREE(k) & BIT(s)) == 0 -> s++
	:: else -> break
	od;
	slot[i] = s;
	taken[k] = taken[k] | BIT(s);
	call[i] = 1;
	queued[i] = 1;
	if
	:: greeted[k] -> confirmed[i] = MY_STAMP(k)
	:: else
	fi
}

inline commit(k, i) {
	queued[i] = 0;
	if
	:: (consumed[k] & BIT(slot[i])) == 0 ->
		consumed[k] = consumed[k] | BIT(slot[i]);
		issued[i] = UNCONFIRMED
	:: else -> call[i] = 0 /* the transaction finds that its range is not free */
	fi
}

#define IS_DURABLE(i) (issued[i] == UNCONFIRMED || issued[i] == CONFIRMED)
#if defined(MUTANT_ANSWER_BEFORE_COMMIT)
#define COMMITTED(i) (queued[i] || IS_DURABLE(i))
#else
#define COMMITTED(i) IS_DURABLE(i)
#endif
#if defined(LOCAL) || defined(MUTANT_ANSWER_BEFORE_CONFIRM)
#define MAY_ANSWER(i) (call[i] && COMMITTED(i))
#else
#define MAY_ANSWER(i) (call[i] && done[i] && COMMITTED(i))
#endif

/* Some mutants are to show another promise than the one that they break on the spot. */
#ifdef P5_IS_NOT_CHECKED
#define P5_IS_BROKEN(i) 0
#else
#define P5_IS_BROKEN(i) (!IS_DURABLE(i))
#endif

inline answerMaster(i) {
	call[i] = 0;
	answered[i] = (row[i] != EXPIRED);
	if
	:: P5_IS_BROKEN(i) -> BREAKS(P5_holds)
	:: else
	fi;
	leave(i, slot[i]);
	SEE(GRANT_USED, OWNER(i) == 1 && (LANE0 & BIT(slot[i])) != 0)
}

/* The call ends with 503: the range stays spent, the delivery is confirmed until answered. */
inline giveUp(k, i) {
	call[i] = 0;
#ifdef MUTANT_REUSE_ON_TIMEOUT
	queued[i] = 0;
	issued[i] = NO_ROW;
	taken[k] = taken[k] & ~BIT(slot[i]);
	consumed[k] = consumed[k] & ~BIT(slot[i]);
#endif
}

/* Whether KME k lets its peer have the slot of i: the right KME allocated it, and no byte is consumed. */
#ifdef MUTANT_NO_CONSUMED_CHECK
#define IS_FREE_THERE(k, i) 1
#else
#define IS_FREE_THERE(k, i) ((consumed[k] & BIT(slot[i])) == 0 && (PEER_SLOTS(k) & BIT(slot[i])) != 0)
#endif
#define HAS_ROW(i) (row[i] == HELD || row[i] == FETCHED)
/* A confirm names the range: another range under a known ID is another delivery, and refused. */
#ifdef MUTANT_KNOWN_BY_ID_ALONE
#define IS_SAME(i) HAS_ROW(i)
#else
#define IS_SAME(i) (HAS_ROW(i) && rowSlot[i] == slot[i])
#endif
#define IS_KNOWN_THERE(i) (IS_SAME(i) || heldInMemory[i])
#define IS_CLASH(k, i) (!IS_FREE_THERE(k, i) || HAS_ROW(i))

inline applyConfirm(k, i) {
	if
	:: IS_KNOWN_THERE(i) -> done[i] = 1
	:: !IS_KNOWN_THERE(i) && IS_CLASH(k, i) -> refused[i] = 1
	:: !IS_KNOWN_THERE(i) && !IS_CLASH(k, i) ->
		done[i] = 1;
#ifdef MUTANT_DONE_BEFORE_COMMIT
		heldInMemory[i] = 1
#else
		store(k, i)
#endif
	fi
}

inline store(k, i) {
	heldInMemory[i] = 0;
#ifdef MUTANT_RANGE_NOT_NAMED
	/* The other end takes the next that is free, like its owner. */
	m = 0;
	do
	:: (PEER_SLOTS(k) & ~consumed[k] & BIT(m)) == 0 -> m++
	:: else -> break
	od;
	rowSlot[i] = m;
	m = 0;
#else
	rowSlot[i] = slot[i];
#endif
	consumed[k] = consumed[k] | BIT(rowSlot[i]);
	row[i] = HELD
}

/* A refusal ends the call and the peer's part; what was spent is to be dropped there. */
inline refuse(k, i) {
	call[i] = 0;
	refused[i] = 0;
	if
	:: issued[i] == UNCONFIRMED ->
		issued[i] = ENDED;
		owedDrops[k] = owedDrops[k] | BIT(slot[i])
	:: else
	fi
}

inline expireHere(k, i) {
	if
	:: issued[i] == UNCONFIRMED -> owedDrops[k] = owedDrops[k] | BIT(slot[i])
	:: else
	fi;
	issued[i] = ENDED
}

/* From here on nobody may fetch it, nor have its bytes under another key ID, and P4 asks nothing any more. */
inline expireThere(i) {
	row[i] = EXPIRED;
	fetchedInMemory[i] = 0;
	fetched[i] = 1;
	answered[i] = 0;
	leave(i, rowSlot[i])
}

/* KME k is told of slots consumed for no delivery: it erases what no delivery holds. */
inline applyDrops(k, i) {
	SEE(DROPPED, (owedDrops[PEER(k)] & ~consumed[k]) != 0);
	consumed[k] = consumed[k] | owedDrops[PEER(k)];
#ifdef MUTANT_DROP_ERASES_HELD
	i = FIRST_ID(PEER(k));
	do
	:: i < END_ID(PEER(k)) ->
		if
		:: slot[i] != NO_SLOT && (owedDrops[PEER(k)] & BIT(slot[i])) != 0 && row[i] == HELD -> row[i] = NO_ROW
		:: else
		fi;
		i++
	:: else -> break
	od;
#endif
	i = 0
}

/* Slave x asks KME k for key i, whose ID it knows, whoever told it. */
#ifdef MUTANT_NO_ENTITLEMENT
#define IS_ENTITLED(i, x) 1
#else
#define IS_ENTITLED(i, x) (SLAVE(i) == (x))
#endif
#define HAS_BYTES(i) (row[i] == HELD && !fetchedInMemory[i])

#ifdef P3_IS_NOT_CHECKED
#define P3_IS_BROKEN(i, x) 0
#else
#define P3_IS_BROKEN(i, x) (SLAVE(i) != (x) || fetched[i])
#endif

inline fetch(i, x) {
	if
	:: P3_IS_BROKEN(i, x) -> BREAKS(P3_holds)
	:: else
	fi;
	fetched[i] = 1;
#ifdef MUTANT_FETCH_NOT_DURABLE
	fetchedInMemory[i] = 1;
#else
	row[i] = FETCHED;
#endif
	leave(i, rowSlot[i]);
	SEE(FETCHED_AFTER_ANSWER, answered[i]);
	SEE(FETCHED_AFTER_CRASH, crashedBetween[i])
}

/* KME 0 grants a slot that is neither consumed nor taken nor granted; the grant is durable before it is sent. */
#ifdef MUTANT_GRANT_LOOKS_AT_STORE_ALONE
#define GRANTABLE (LANE0 & ~consumed[0])
#else
#define GRANTABLE (LANE0 & ~(consumed[0] | taken[0]))
#endif

inline grant(s) {
	s = 0;
	do
	:: (GRANTABLE & ~granted[0] & ~grantMask & BIT(s)) == 0 -> s++
	:: else -> break
	od;
#ifdef MUTANT_GRANT_SENT_BEFORE_DURABLE
	taken[0] = taken[0] | BIT(s);
	grantMask = grantMask | BIT(s);
	grantStamp = MY_STAMP(0);
#else
	granted[0] = granted[0] | BIT(s);
	sendGrants();
#endif
	s = 0
}

inline sendGrants() {
	grantMask = granted[0];
	grantStamp = MY_STAMP(0)
}

/* The KME stops at once and starts again: what was not committed is gone, what was sent is not. */
inline crash(k, i) {
	crashes[k]++;
#ifndef MUTANT_LIFE_NOT_RAISED
	life[k]++;
#endif
	greeted[k] = 0;
	met[k] = 0;
	taken[k] = 0;
#ifndef MUTANT_HELLO_WITHOUT_NONCE
	answer[k] = 0;
	answerLife[k] = 0;
	answerConsumed[k] = 0;
#endif
	i = 0;
	do
	:: i < IDS ->
#ifdef WITNESS
		crashedBetween[i] = crashedBetween[i] || (answered[i] && !fetched[i]);
#endif
		if
		:: OWNER(i) == k ->
			call[i] = 0;
			queued[i] = 0;
			done[i] = 0;
			refused[i] = 0;
			settle(i)
		:: else ->
			heldInMemory[i] = 0;
			fetchedInMemory[i] = 0
		fi;
#ifdef MUTANT_ID_TWICE
		/* What was lost leaves no trace, and key IDs are counted on from the last one in the store. */
		if
		:: OWNER(i) == k && issued[i] == NO_ROW -> slot[i] = NO_SLOT
		:: else
		fi;
#endif
		i++
	:: else -> break
	od;
	forgetStale(k, i)
}

/* A step's counter: outside of the state. */
hidden byte n, m;

/*
 * P4: what a master received, its slave can fetch until it expires. Under confirm: local it can as long as the
 * owner has the delivery: the confirm is applied, or nothing stands in its way.
 */
#ifdef LOCAL
#define IS_FETCHABLE(i) (row[i] != NO_ROW || issued[i] == ENDED || (IS_DURABLE(i) && IS_FREE_THERE(PEER(OWNER(i)), i)))
#else
#define IS_FETCHABLE(i) (row[i] != NO_ROW || heldInMemory[i])
#endif

/* One process per key ID: KME k allocated it, the other end holds it. */
active [IDS] proctype delivery()
{
#define i _pid
#define k OWNER(_pid)
#define other PEER(OWNER(_pid))
end:
	do
	/* At KME k. */
	:: d_step { queued[i] -> commit(k, i); settle(i) }
	:: d_step {
		(issued[i] == UNCONFIRMED || call[i]) && greeted[k] && confirmed[i] != MY_STAMP(k) ->
			confirmed[i] = MY_STAMP(k)
	   }
	:: d_step { done[i] && issued[i] == UNCONFIRMED -> issued[i] = CONFIRMED; settle(i) }
	:: d_step { MAY_ANSWER(i) -> answerMaster(i); settle(i) }
	:: d_step { call[i] -> giveUp(k, i); settle(i) }
	:: d_step { refused[i] && (call[i] || issued[i] == UNCONFIRMED) -> refuse(k, i); settle(i) }
	:: d_step { IS_DURABLE(i) && !call[i] -> expireHere(k, i); settle(i) }
	/* At the other end. */
	:: d_step { confirmed[i] != 0 && APPLIES(other, confirmed[i]) -> applyConfirm(other, i); settle(i) }
	:: d_step { heldInMemory[i] -> store(other, i) }
	:: d_step { HAS_BYTES(i) && IS_ENTITLED(i, 0) -> fetch(i, 0) }
	:: d_step { HAS_BYTES(i) && IS_ENTITLED(i, 1) -> fetch(i, 1) }
	:: d_step { fetchedInMemory[i] -> fetchedInMemory[i] = 0; row[i] = FETCHED }
	:: d_step { row[i] == HELD || row[i] == FETCHED -> expireThere(i); settle(i) }
	/* What must never be. */
	:: d_step { answered[i] && HAS_ROW(i) && rowSlot[i] != slot[i] -> BREAKS(P2_holds) }
	:: d_step { answered[i] && !IS_FETCHABLE(i) -> BREAKS(P4_holds) }
	od
#undef i
#undef k
#undef other
}

#ifdef LOCAL
#define MAY_ALLOCATE(k) met[k]
#else
#define MAY_ALLOCATE(k) greeted[k]
#endif

active [2] proctype kme()
{
#define k (_pid - IDS)
#define other PEER(_pid - IDS)
end:
	do
#ifdef SLOW_HELLO
	:: d_step { !greeted[other] -> hearHello(k, n) }
	:: d_step { answer[k] && !greeted[k] -> agreeHello(k, n) }
#else
	:: d_step { !greeted[k] -> hearHello(other, n); agreeHello(k, n) }
#endif
	:: d_step { MAY_ALLOCATE(k) && FREE(k) != 0 && slot[END_ID(k) - 1] == NO_SLOT -> allocate(k, n, m) }
	:: d_step {
		owedDrops[other] != 0 && greeted[k] && knows[k] == life[other] && knows[other] == life[k] &&
		    (owedDrops[other] & ~consumed[k]) != 0 ->
			applyDrops(k, n)
	   }
#ifdef GRANT
	:: d_step { k == 0 && greeted[0] && (GRANTABLE & ~granted[0] & ~grantMask) != 0 -> grant(n) }
	:: d_step { k == 0 && greeted[0] && granted[0] != 0 && grantStamp != MY_STAMP(0) -> sendGrants() }
	:: d_step { k == 1 && (grantMask & ~granted[1]) != 0 && APPLIES(1, grantStamp) -> granted[1] = granted[1] | grantMask }
#ifdef MUTANT_GRANT_REVOKED
	:: d_step { k == 0 && granted[0] != 0 -> granted[0] = 0 }
#endif
#endif
	/* The last own connection is lost. */
#ifdef LOSSES
	:: d_step { greeted[k] -> greeted[k] = 0 }
#endif
	:: d_step { crashes[k] < CRASHES -> crash(k, n) }
	od
#undef k
#undef other
}
