<?php
// Counts a visitor's requests in PHP's session. /login begins a new identifier, /logout ends the session.
session_start();
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if ($path === '/login') session_regenerate_id(true);
if ($path === '/logout') {
    session_destroy();
    setcookie(session_name(), '', time() - 3600, '/');
} else {
    $_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;
}
header('Content-Type: application/json');
echo json_encode(['server' => getenv('SERVER_NAME'), 'visits' => $_SESSION['visits'] ?? 0]);
