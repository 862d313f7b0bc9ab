import DormouseSupport

/// Reads a text byte by byte, and knows at each place whether a text of the grammar goes on so: Earley's algorithm
/// ("An Efficient Context-Free Parsing Algorithm", 1970) over bytes, with terminals of several bytes, exact for every
/// grammar. What has been read can be taken back.
struct Recognizer {
  /// A terminal that is being read.
  struct Terminal {
    var state: ExpressionID
    /// The step after it.
    var next: Int32
    /// The place where its rule began.
    var origin: Int32
  }

  /// An alternative that waits for a rule to end.
  private struct Waiting {
    var rule: Grammar.Rule
    var next: Int32
    var origin: Int32
  }

  /// What is known at a place.
  private struct Place {
    var firstTerminal: Int
    var firstWaiting: Int
    /// Whether a whole text ends here.
    var isComplete: Bool
  }

  private struct Item: Hashable {
    var step: Int32
    var origin: Int32
  }

  private let grammar: Grammar
  private let expressions: Expressions
  private var places: ContiguousArray<Place> = []
  private var terminals: ContiguousArray<Terminal> = []
  private var waitings: ContiguousArray<Waiting> = []
  // Of the place that is being made.
  private var agenda: ContiguousArray<Item> = []
  private var seen: ContiguousArray<Item> = []
  private var manySeen: Set<Item> = []
  private var predicted: ContiguousArray<Grammar.Rule> = []
  private var ended: ContiguousArray<Grammar.Rule> = []

  /// - Parameter start: the rule of a whole text.
  init(_ grammar: Grammar, start: Grammar.Rule) {
    self.grammar = grammar
    expressions = grammar.expressions
    let whole = grammar.makeRule()
    grammar.set(whole, [[.rule(start)]])
    wholeRule = whole
    beginPlace()
    for step in grammar.alternatives(of: whole) { agenda.append(Item(step: step, origin: 0)) }
    close()
  }

  private let wholeRule: Grammar.Rule

  /// Places so far: one more than bytes.
  var count: Int { places.count }

  var isComplete: Bool { places[places.count - 1].isComplete }

  /// The terminals that are being read.
  var current: [Terminal] { Array(terminals[places[places.count - 1].firstTerminal...]) }

  /// Reads a byte.
  /// - Returns: false, and all is as before, where no text goes on so.
  mutating func advance(_ byte: UInt8) -> Bool {
    let first = places[places.count - 1].firstTerminal
    let end = terminals.count
    beginPlace()
    for index in first..<end {
      let terminal = terminals[index]
      let state = expressions.next(terminal.state, byte)
      guard state != Expressions.nothing else { continue }
      if state != Expressions.empty { add(Terminal(state: state, next: terminal.next, origin: terminal.origin)) }
      if expressions.accepts(state) { agenda.append(Item(step: terminal.next, origin: terminal.origin)) }
    }
    close()
    let place = places[places.count - 1]
    if terminals.count == place.firstTerminal && !place.isComplete {
      takeBack(to: places.count - 1)
      return false
    }
    return true
  }

  /// Takes a terminal as read, in a place of its own: what may follow it.
  mutating func end(_ terminal: Terminal) {
    beginPlace()
    agenda.append(Item(step: terminal.next, origin: terminal.origin))
    close()
  }

  /// Forgets all places but the first `count`.
  mutating func takeBack(to count: Int) {
    guard count < places.count else { return }
    let place = places[count]
    terminals.removeSubrange(place.firstTerminal...)
    waitings.removeSubrange(place.firstWaiting...)
    places.removeSubrange(count...)
  }

  private mutating func beginPlace() {
    places.append(Place(firstTerminal: terminals.count, firstWaiting: waitings.count, isComplete: false))
  }

  /// Follows all that is on the agenda.
  private mutating func close() {
    guard !agenda.isEmpty else { return }
    let here = Int32(places.count - 1)
    while let item = agenda.popLast() {
      guard isNew(item) else { continue }
      switch grammar.steps[Int(item.step)] {
      case .terminal(let expression):
        add(Terminal(state: expression, next: item.step + 1, origin: item.origin))
        if expressions.accepts(expression) { agenda.append(Item(step: item.step + 1, origin: item.origin)) }
      case .rule(let rule):
        waitings.append(Waiting(rule: rule, next: item.step + 1, origin: item.origin))
        predict(rule, here)
        if ended.contains(rule) { agenda.append(Item(step: item.step + 1, origin: item.origin)) }
      case .end(let rule): end(rule, from: item.origin, here)
      }
    }
    seen.removeAll(keepingCapacity: true)
    manySeen.removeAll(keepingCapacity: true)
    predicted.removeAll(keepingCapacity: true)
    ended.removeAll(keepingCapacity: true)
  }

  private mutating func predict(_ rule: Grammar.Rule, _ here: Int32) {
    guard !predicted.contains(rule) else { return }
    predicted.append(rule)
    for step in grammar.alternatives(of: rule) { agenda.append(Item(step: step, origin: here)) }
  }

  private mutating func end(_ rule: Grammar.Rule, from origin: Int32, _ here: Int32) {
    if rule == wholeRule { places[places.count - 1].isComplete = true }
    // Alternatives that come to wait for it here later have it ended already.
    if origin == here { ended.append(rule) }
    let place = Int(origin)
    let last = place + 1 < places.count ? places[place + 1].firstWaiting : waitings.count
    for index in places[place].firstWaiting..<last where waitings[index].rule == rule {
      agenda.append(Item(step: waitings[index].next, origin: waitings[index].origin))
    }
  }

  private mutating func add(_ terminal: Terminal) {
    for index in places[places.count - 1].firstTerminal..<terminals.count {
      let other = terminals[index]
      if other.state == terminal.state && other.next == terminal.next && other.origin == terminal.origin { return }
    }
    terminals.append(terminal)
  }

  private mutating func isNew(_ item: Item) -> Bool {
    if seen.count < 32 {
      if seen.contains(item) { return false }
      seen.append(item)
      if seen.count == 32 { manySeen.formUnion(seen) }
      return true
    }
    return manySeen.insert(item).inserted
  }
}
