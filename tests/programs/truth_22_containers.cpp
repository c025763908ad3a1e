/* Containers of the standard library: each holds what it contains. */
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "truth.h"

std::map<int, std::string> ordered;
std::unordered_map<int, std::string> hashed;
std::deque<long> queue;
std::shared_ptr<std::vector<char>> owner;
std::weak_ptr<std::vector<char>> observer;

CREATOR void fill_ordered() {
    for (int i = 0; i < 100; i++)
        ordered[i] = i % 2 ? std::string("short") : std::string(100, 'x');
}
CREATOR void fill_hashed() {
    for (int i = 0; i < 100; i++)
        hashed[i] = std::string(200, 'y');
}
CREATOR void fill_queue() {
    for (int i = 0; i < 1000; i++)
        queue.push_back(i);
}
CREATOR void fill_owner() {
    owner = std::make_shared<std::vector<char>>(5000);
    observer = owner;
}

int main() {
    fill_ordered();
    fill_hashed();
    fill_queue();
    fill_owner();
    return 0;
}
