// Globals of every container whose paths whoholds knows to read, filled, and kept until the end.
// The unit test of types reads this program's debug information.
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <forward_list>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace app {
struct Payload {
    int id;
    char *text;
    std::string label;
};

class Base {
  public:
    virtual ~Base() = default;
    Payload *owned = nullptr;
};

class Derived : public Base {
  public:
    Payload *extra = nullptr;
};

std::vector<Payload> values;
std::vector<Payload *> pointers;
std::map<int, Payload> by_id;
std::map<std::string, std::unique_ptr<Payload>> by_name;
std::set<std::string> names;
std::unordered_map<int, Payload> hashed;
std::unordered_set<Payload *> seen;
std::list<Payload> listed;
std::forward_list<Payload> chained;
std::deque<Payload> queued;
std::shared_ptr<Payload> shared;
std::unique_ptr<Payload> unique;
std::unique_ptr<Payload[]> array;
std::string text;
Derived derived;
Base *polymorphic;
thread_local std::vector<Payload> local_values;
} // namespace app

static app::Payload make(int id) {
    app::Payload p;
    p.id = id;
    p.text = static_cast<char *>(malloc(32));
    p.label = std::string(100, 'x');
    return p;
}

int main() {
    using namespace app;
    static std::vector<std::string> inside;
    for (int i = 0; i < 100; i++) {
        values.push_back(make(i));
        pointers.push_back(new Payload(make(i)));
        by_id[i] = make(i);
        by_name["key" + std::to_string(i)] = std::make_unique<Payload>(make(i));
        names.insert(std::string(50, 'a') + std::to_string(i));
        hashed[i] = make(i);
        seen.insert(new Payload(make(i)));
        listed.push_back(make(i));
        chained.push_front(make(i));
        queued.push_back(make(i));
        inside.push_back(std::string(80, 'y'));
    }
    shared = std::make_shared<Payload>(make(1));
    unique = std::make_unique<Payload>(make(2));
    array = std::make_unique<Payload[]>(4);
    text = std::string(200, 'z');
    derived.owned = new Payload(make(3));
    derived.extra = new Payload(make(4));
    polymorphic = new Derived;
    local_values.push_back(make(5));
    std::printf("%zu\n", values.size() + inside.size());
    return 0;
}
