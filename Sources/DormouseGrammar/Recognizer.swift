import DormouseSupport

/// Reads a text byte by byte, and knows at each place whether a text of the grammar goes on so: Earley's algorithm
/// ("An Efficient Context-Free Parsing Algorithm", 1970) over bytes, with terminals of several bytes, exact for every
/// grammar. What has been read can be taken back.
struct Recognizer {
  /// A terminal that is being read.
  struct Terminal: Hashable {
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
  private var seen = ManyOrFew<Item>()
  private var predicted = ManyOrFew<Grammar.Rule>()
  private var ended = ManyOrFew<Grammar.Rule>()
  /// Of the terminals, where there are many.
  private var manyTerminals: Set<Terminal> = []

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
    expressions.effort.spend(end - first)
    close()
    let place = places[places.count - 1]
    if expressions.effort.isStopped || terminals.count == place.firstTerminal && !place.isComplete {
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
    if !manyTerminals.isEmpty { manyTerminals.removeAll(keepingCapacity: true) }
  }

  /// Follows all that is on the agenda.
  private mutating func close() {
    guard !agenda.isEmpty else { return }
    let here = Int32(places.count - 1)
    while let item = agenda.popLast() {
      expressions.effort.spend(1)
      if expressions.effort.isStopped { agenda.removeAll() }
      guard seen.insert(item) else { continue }
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
    seen.removeAll()
    predicted.removeAll()
    ended.removeAll()
    if terminals.count + waitings.count > expressions.effort.limits.items { expressions.effort.stop(.items) }
  }

  private mutating func predict(_ rule: Grammar.Rule, _ here: Int32) {
    guard predicted.insert(rule) else { return }
    for step in grammar.alternatives(of: rule) { agenda.append(Item(step: step, origin: here)) }
  }

  private mutating func end(_ rule: Grammar.Rule, from origin: Int32, _ here: Int32) {
    if rule == wholeRule { places[places.count - 1].isComplete = true }
    // Alternatives that come to wait for it here later have it ended already.
    if origin == here { _ = ended.insert(rule) }
    let place = Int(origin)
    let last = place + 1 < places.count ? places[place + 1].firstWaiting : waitings.count
    expressions.effort.spend((last - places[place].firstWaiting) / 8)
    for index in places[place].firstWaiting..<last where waitings[index].rule == rule {
      agenda.append(Item(step: waitings[index].next, origin: waitings[index].origin))
    }
  }

  private mutating func add(_ terminal: Terminal) {
    let first = places[places.count - 1].firstTerminal
    if terminals.count - first < 32 {
      for index in first..<terminals.count where terminals[index] == terminal { return }
    } else {
      if manyTerminals.isEmpty { manyTerminals.formUnion(terminals[first...]) }
      guard manyTerminals.insert(terminal).inserted else { return }
    }
    terminals.append(terminal)
  }
}

/// A set that is small most of the time, and fast then.
private struct ManyOrFew<Element: Hashable> {
  private var few: ContiguousArray<Element> = []
  private var many: Set<Element> = []

  private static var limit: Int { 32 }

  func contains(_ element: Element) -> Bool {
    few.count < Self.limit ? few.contains(element) : many.contains(element)
  }

  /// - Returns: whether it is new.
  mutating func insert(_ element: Element) -> Bool {
    guard few.count < Self.limit else { return many.insert(element).inserted }
    if few.contains(element) { return false }
    few.append(element)
    if few.count == Self.limit { many.formUnion(few) }
    return true
  }

  mutating func removeAll() {
    few.removeAll(keepingCapacity: true)
    many.removeAll(keepingCapacity: true)
  }
}
